"""What only a socket can send: lengths that lie, lines that are none, bodies that end early. To the real server."""

import os
import socket
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from tests.proof.corpus import bodies

RIGHT = (*range(400, 432), 501, 505)  # 501 and 505: to a coding or version nobody heard of, as RFC 9110 has it
ANSWERED = (*range(200, 400), *RIGHT)
TEXT = b"Some words.\n"
SECONDS = 20
NAMED = b"Content-Disposition: attachment; filename=a.txt\r\nContent-Type: application/octet-stream\r\n"


@dataclass(frozen=True)
class Message:
    """The bytes of one request; `{upload}`, `{page}` and `{token}` stand for what a good one has there."""

    name: str
    data: bytes
    refused: bool = False  # must not be answered with a success


def messages() -> Iterator[Message]:
    yield from lengths()
    yield from lines()
    yield from parts()


def upload(*lines: bytes, body: bytes = TEXT) -> bytes:
    head = (
        b"POST {upload} HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\nAuthorization: Bearer {token}\r\n" + NAMED
    )
    return head + b"".join(line + b"\r\n" for line in lines) + b"\r\n" + body


def get(*lines: bytes, path: bytes = b"{page}", version: bytes = b"HTTP/1.1") -> bytes:
    head = (
        b"GET "
        + path
        + b" "
        + version
        + b"\r\nHost: localhost\r\nConnection: close\r\nAuthorization: Bearer {token}\r\n"
    )
    return head + b"".join(line + b"\r\n" for line in lines) + b"\r\n"


def lengths() -> Iterator[Message]:
    for value in (
        b"-1", b"+12", b"0x0c", b"12abc", b"1e1", b"\xd9\xa1", b"12, 12", b"12, 13", b" ", b"1_2", b"9" * 400, b"12.0",
        b'"12"',
    ):  # fmt: skip
        yield Message(
            f"length {value!r}", upload(b"Content-Length: " + value), refused=value not in (b"12, 12", b"+12")
        )
    for more in (1, 100, 5000, 10**6, 2**31, 2**63, 10**30):
        yield Message(f"{more} bytes too few", upload(b"Content-Length: %d" % (len(TEXT) + more)), refused=True)
    for less in (1, 11, 12):
        yield Message(f"{less} bytes too many", upload(b"Content-Length: %d" % (len(TEXT) - less)), refused=less == 12)
    yield Message("no length", upload(), refused=True)
    yield Message("two lengths", upload(b"Content-Length: 12", b"Content-Length: 13"), refused=True)
    yield Message("the same length twice", upload(b"Content-Length: 12", b"Content-Length: 12"))
    for coding in (
        b"chunked", b"Chunked", b"x", b"gzip, chunked", b"chunked, chunked", b"identity", b" chunked", b"\x0bchunked",
        b"chunked, identity", b"",
    ):  # fmt: skip
        for chunks in (
            b"c\r\nSome words.\n\r\n0\r\n\r\n", b"c;x=y\r\nSome words.\n\r\n0\r\n\r\n", b"zz\r\n", b"-1\r\n",
            b"ffffffffffffffffffff\r\nx", b"c\r\nSome", b"",
        ):  # fmt: skip
            yield Message(
                f"{coding!r} with {chunks[:12]!r}",
                upload(b"Transfer-Encoding: " + coding, body=chunks),
                refused=coding not in (b"identity", b""),
            )
            both = upload(b"Content-Length: 12", b"Transfer-Encoding: " + coding, body=chunks)
            yield Message(f"a length and {coding!r} with {chunks[:12]!r}", both)


def lines() -> Iterator[Message]:
    for line in (
        b"X", b": x", b"X : y", b" X: y", b"X\0: y", b"X: y\0z", b"X: a\nb", b"X: a\rb", b"X: a\r\n folded",
        b"X" * 70_000 + b": y", b"X: " + b"y" * 70_000,
        b"\xff: y", b"X: \xff\xfe", b"X:" + b"\t" * 5000, b"X(y): z", b"Expect: 100-continue", b"Expect: nonsense",
        b"Upgrade: websocket", b"Upgrade: h2c",
        b"Host: other.example", b"Content-Length: 0", b"Content-Length: 5", b"Connection: x" * 500,
        b"Range: bytes=0-1\r\nRange: bytes=2-3",
        b"X-Forwarded-For: 127.0.0.1\r\nX_Forwarded_For: 127.0.0.1", b"SCRIPT_NAME: /x", b"Script-Name: /evil",
        b"Proxy: http://evil.example",
        b"\r\n".join(b"X-%d: y" % n for n in range(200)), b"Cookie: " + b"a=b;" * 10_000,
        b"Accept-Language: " + b"en," * 20_000,
    ):  # fmt: skip
        yield Message(f"line {line[:40]!r}", get(line))
        yield Message(f"line {line[:40]!r} on an upload", upload(b"Content-Length: 12", line))
    for path in (
        b"", b"*", b"/\0", b"/%", b"/%zz", b"/%00", b"/\xff", b"/" + b"a" * 9000, b"//" * 3000, b"/../../etc/passwd",
        b"/static/..%2f..%2fetc/passwd", b"http://evil.example/", b"http://localhost/", b"http://[", b"?", b"#",
        b"/#x", b"/ /", b"/\t", b"/a b", b"localhost:80", b"/?" + b"a=b&" * 2000, b"/;x=y",
    ):  # fmt: skip
        yield Message(f"path {path[:40]!r}", get(path=path))
    for version in (
        b"HTTP/0.9", b"HTTP/1.0", b"HTTP/2.0", b"HTTP/3", b"HTTP/1.1x", b"http/1.1", b"HTTP/9.9", b"", b"RTSP/1.0",
    ):  # fmt: skip
        yield Message(f"version {version!r}", get(version=version))
    for method in (
        b"", b"get", b"TRACE", b"CONNECT", b"PROPFIND", b"PURGE", b"OPTIONS", b"HEAD", b"A" * 5000, b"G\0T",
        b"GET GET", b"\xff", b"POST", b"DELETE",
    ):  # fmt: skip
        yield Message(f"method {method[:20]!r}", get().replace(b"GET", method, 1))
    for data in (
        b"", b"\0", b"\r\n\r\n", b"\n\n", b"\x16\x03\x01\x02\0\x01\0", b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n",
        b"PROXY TCP4 1.2.3.4 1.2.3.4 1 1\r\n", b"x" * 70_000, b"GET", b"GET /",
    ):  # fmt: skip
        yield Message(f"no request {data[:20]!r}", data)
    yield Message("two at once", get().replace(b"close", b"keep-alive") + get())
    smuggled = get(path=b"/patients/new")
    yield Message(
        "one inside another", upload(b"Content-Length: 12", b"Transfer-Encoding: chunked", body=b"0\r\n\r\n" + smuggled)
    )


def parts() -> Iterator[Message]:
    head = b"POST {upload} HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\nAuthorization: Bearer {token}\r\n"
    for group in (bodies.TAKEN, bodies.MADE, bodies.CUT):
        for name, body in group.items():
            lines = b"Content-Type: multipart/form-data; boundary=b\r\nContent-Length: %d\r\n\r\n" % len(body)
            yield Message(f"body: {name}", head + lines + body, refused=group is bodies.CUT)
    for name, body in bodies.TAKEN.items():
        for less in (1, len(body) // 2, len(body) - 1):
            lines = b"Content-Type: multipart/form-data; boundary=b\r\nContent-Length: %d\r\n\r\n" % len(body)
            yield Message(f"body: {name}, {less} bytes missing", head + lines + body[: len(body) - less], refused=True)


@dataclass(frozen=True)
class Line:
    """A server, and what a good request to it holds."""

    address: str
    fill: dict[bytes, bytes]

    def send(self, message: Message) -> int | None:
        """The status of the answer; None when the server only hung up. `TimeoutError` when it did neither."""
        data = message.data
        for name, value in self.fill.items():
            data = data.replace(b"{" + name + b"}", value)
        host, _, port = self.address.removeprefix("http://").partition(":")
        with socket.create_connection((host, int(port)), SECONDS) as connection:
            return status_of(answer_to(connection, data))

    def wrong(self, message: Message) -> str | None:
        try:
            status = self.send(message)
        except TimeoutError:
            return f"{message.name}: no answer within {SECONDS} seconds"
        if status is None or status in (RIGHT if message.refused else ANSWERED):
            return None
        return f"{message.name}: answered {status}"


def answer_to(connection: socket.socket, data: bytes) -> bytes:
    """All that comes back, whether or not the server still listened to the end."""
    answer = b""
    try:
        connection.sendall(data)
        connection.shutdown(socket.SHUT_WR)
        while chunk := connection.recv(65536):
            answer += chunk
    except (ConnectionError, BrokenPipeError):
        return answer
    return answer


def status_of(answer: bytes) -> int | None:
    words = answer.removeprefix(b"HTTP/1.1 100 Continue\r\n\r\n").split(b" ", 2)
    return int(words[1]) if len(words) > 1 and words[1].isdigit() else None


def resident(instance: str) -> int:
    """Bytes that the largest server process of this installation has in memory."""
    sizes = [0]
    for place in Path("/proc").glob("[0-9]*"):
        try:
            if (
                b"gunicorn" in (place / "cmdline").read_bytes()
                and instance.encode() in (place / "environ").read_bytes()
            ):
                sizes.append(int((place / "statm").read_text().split()[1]) * os.sysconf("SC_PAGESIZE"))
        except OSError:
            continue
    return max(sizes)
