"""Bodies that make parsers of forms stumble: written by hand, and a good one changed at random places."""

import random
from collections.abc import Callable, Iterator, Mapping
from functools import partial

from werkzeug.test import TestResponse

from tests.proof.corpus.desk import Desk, Input, statuses
from tests.proof.corpus.names import path
from tests.support.api_client import end, part, said

RIGHT = statuses(200, 201, 303, 400, 411, 413, 415, 422)
REFUSED = statuses(400, 411, 413, 415, 422)
TYPE = "multipart/form-data; boundary=b"
TEXT = b"Some words.\n"
FILE = part("a.txt", TEXT)
GOOD = said("description", "A letter.") + said("category", "summary") + FILE + end()
CHANGES = 250
MIB = 1024 * 1024


def head(*lines: bytes) -> bytes:
    """A part with exactly these lines before its content."""
    return b"--b\r\n" + b"".join(line + b"\r\n" for line in lines) + b"\r\n" + TEXT + b"\r\n"


def disposition(value: bytes) -> bytes:
    return head(b"Content-Disposition: " + value)


TAKEN: Mapping[str, bytes] = {
    "one file": FILE + end(),
    "fields before": GOOD,
    "fields behind": FILE + said("description", "x") + end(),
    "a preamble": b"Hello\r\n" * 100 + b"\r\n" + FILE + end(),
    "an epilogue": FILE + end() + b"more\r\n" * 100,
    "base64 that is none": head(b'Content-Disposition: form-data; name="file"; filename="a.txt"',
    b"Content-Transfer-Encoding: base64") + end(),
    "a type of its own": head(b'Content-Disposition: form-data; name="file"; filename="a.txt"',
    b"Content-Type: text/html; charset=utf-7") + end(),
    "one field twice": said("description", "x") + said("description", "y") + FILE + end(),
    "a nested form": head(b'Content-Disposition: form-data; name="file"; filename="a.txt"',
    b"Content-Type: multipart/mixed; boundary=c") + end(),
}  # fmt: skip
MADE: Mapping[str, bytes] = {
    **{f"dispositions: {value.decode('latin-1')[:60]}": disposition(value) + end() for value in (
        b"", b"form-data", b"form-data;", b"form-data; name", b"form-data; name=", b'form-data; name="',
        b"form-data; name=file", b'form-data; name="file"', b'form-data; name="file"; filename',
        b'form-data; name="file"; filename=', b'form-data; name="file"; filename=""',
        b'form-data; name="file"; filename="', b'form-data; name="file"; filename="a.txt',
        b"form-data; name=file; filename=a.txt", b'attachment; name="file"; filename="a.txt"',
        b'form-data; filename="a.txt"', b'name="file"; filename="a.txt"',
        b'form-data; name="file"; name="other"; filename="a.txt"',
        b'form-data; name="file"; filename="a.txt"; filename="b.exe"',
        b"form-data; name=\"file\"; filename=\"a.txt\"; filename*=UTF-8''b.exe",
        b"form-data; name=\"file\"; filename*=UTF-8''a.txt", b"form-data; name=\"file\"; filename*=no-such''a.txt",
        b"form-data; name=\"file\"; filename*=UTF-8''%ff.txt", b"form-data; name*=UTF-8''file; filename=a.txt",
        b"form-data; name=\"file\"; filename*0=\"a\"; filename*1=\".txt\"",
        b'form-data; name="file"; filename="\xff\xfe.txt"', b'form-data; name="file"; filename="a\0.txt"',
        b'form-data; name="file\0"; filename="a.txt"', b'form-data; name="file"; filename="a\r\n.txt"',
        b'form-data; name="file"; filename="a\\".txt"', b'form-data; name="file"; filename="' + b"a" * 5000 + b'.txt"',
        b'form-data; name="file"; ' + b"x=y; " * 5000 + b'filename="a.txt"',
        b'FORM-DATA; NAME="file"; FILENAME="a.txt"', b"form-data; name='file'; filename='a.txt'",
        b'form-data; name="file";filename="../../a.txt"', b'form-data; name="files[]"; filename="a.txt"',
        b'form-data; name=""; filename="a.txt"', b'form-data; name="__proto__"; filename="a.txt"',
        b'form-data; name="file"; filename="=?UTF-8?Q?a.txt?="',
        b'form-data; name="file"; filename="a.txt"' + b" " * 60_000,
    )},
    "no header": b"--b\r\n\r\n" + TEXT + b"\r\n" + end(),
    "no name": head(b"Content-Type: text/plain") + end(),
    "no colon": head(b"Content-Disposition form-data", b"x") + end(),
    "a folded header": head(b"Content-Disposition: form-data;", b' name="file"; filename="a.txt"') + end(),
    "two dispositions": head(b'Content-Disposition: form-data; name="x"',
    b'Content-Disposition: form-data; name="file"; filename="a.txt"') + end(),
    "a thousand headers": head(*(b"X-%d: y" % n for n in range(1000)),
    b'Content-Disposition: form-data; name="file"; filename="a.txt"') + end(),
    "a header of 1 MB": head(b"X: " + b"y" * MIB) + end(),
    "a header name of 1 MB": head(b"Y" * MIB + b": x") + end(),
    "a header that never ends": b"--b\r\nX: " + b"y" * MIB,
    "lines that end in LF": GOOD.replace(b"\r\n", b"\n"),
    "lines that end in CR": GOOD.replace(b"\r\n", b"\r"),
    "two files": FILE + part("b.txt", TEXT) + end(),
    "the same file twice": FILE + FILE + end(),
    "a file in another field": part("a.txt", TEXT, "other") + FILE + end(),
    "1,001 fields": b"".join(said(f"f{n}", "") for n in range(1001)) + FILE + end(),
    "1,001 empty files": b"".join(part("", b"") for _ in range(1001)) + end(),
    "40 files": b"".join(part(f"{n}.txt", TEXT) for n in range(40)) + end(),
    "a field of 501 kB": said("description", "x" * 501_000) + FILE + end(),
    "a description too long": said("description", "x" * 1001) + FILE + end(),
    "a category that is none": said("category", "<script>") + FILE + end(),
    "a preamble of 2 MB": b"x" * 2 * MIB + b"\r\n" + FILE + end(),
    "2 MB behind a CR": part("a.txt", b"\r" + b"x" * 2 * MIB) + end(),
    "2 MB of CR LF": part("a.txt", b"\r\n" * MIB) + end(),
    "what looks like boundaries": part("a.txt", b"\r\n--" * 200_000) + end(),
    "boundaries but for a letter": part("a.txt", b"\r\n--c" * 200_000) + end(),
    "a boundary inside": part("a.txt", b"x\r\n--bb\r\ny\r\n--b") + end(),
    "a boundary with blanks": FILE.replace(b"--b\r\n", b"--b   \r\n") + end(),
    "zeros before the boundary": bytes(5000) + FILE + end(),
    "a byte order mark": b"\xef\xbb\xbf" + FILE + end(),
    "NUL in a field": said("description", "a\0b") + FILE + end(),
    "surrogates in a field": said("description", "x").replace(b"x", b"\xed\xa0\x80") + FILE + end(),
    "a charset field": said("_charset_", "utf-7") + said("description", "+ADw-script+AD4-") + FILE + end(),
}  # fmt: skip
CUT: Mapping[str, bytes] = {
    "nothing": b"",
    "the end alone": end(),
    "a boundary alone": b"--b",
    "no end": FILE,
    "half an end": FILE + b"--b-",
    "no parts": b"\r\n" + end(),
    "fields alone": said("description", "x") + end(),
    "an empty file": part("a.txt", b"") + end(),
    "another boundary": GOOD.replace(b"--b", b"--c"),
    "no form at all": TEXT,
    **{f"cut off at {place}": GOOD[:place] for place in range(5, len(GOOD) - 6, 17)},
}
TYPES = (
    "multipart/form-data", "multipart/form-data;", "multipart/form-data; boundary", "multipart/form-data; boundary=",
    'multipart/form-data; boundary=""', 'multipart/form-data; boundary="b',
    "multipart/form-data; boundary=" + "b" * 300, "multipart/form-data; boundary=b; boundary=c",
    "multipart/mixed; boundary=b", "multipart/form-data; boundary=\xff",
    "multipart/form-data; boundary=b; charset=utf-16", "multipart/form-data; boundary*=UTF-8''b",
    "multipart/form-data; boundary= b", "MULTIPART/FORM-DATA; BOUNDARY=b",
    "multipart/form-data, text/plain; boundary=b", "application/x-www-form-urlencoded", "text/plain",
    "application/json", "", "multipart/form-data; boundary=b\t", "multipart/form-data; boundary=--b",
    "multipart/form-data; boundary=(.*)", "multipart/form-data; x=" + "y" * 60_000 + "; boundary=b",
)  # fmt: skip


def bodies() -> Iterator[Input]:
    for door in (by_script, by_page):
        for name, body in TAKEN.items():
            send = partial(door, TYPE, body)
            yield Input(f"{door.__name__}: {name}", send, statuses(201, 303), True, TEXT.__bytes__)
        for name, body in MADE.items():
            yield Input(f"{door.__name__}: {name}", partial(door, TYPE, body), RIGHT, True)
        for name, body in CUT.items():
            yield Input(f"{door.__name__}: {name}", partial(door, TYPE, body), REFUSED)
        for media in TYPES:
            yield Input(f"{door.__name__}: {media[:80]}", partial(door, media, GOOD), RIGHT, True)
        for number in range(CHANGES):
            body = changed(GOOD, random.Random(number))
            yield Input(f"{door.__name__}: change {number}", partial(door, TYPE, body), RIGHT, True)


def changed(body: bytes, chance: random.Random) -> bytes:
    """Bytes left out, put in, doubled or turned, at up to four places."""
    made = bytearray(body)
    for _ in range(chance.randrange(1, 5)):
        start = chance.randrange(len(made))
        stop = min(len(made), start + chance.choice((1, 2, 5, 40)))
        made[start:stop] = chance.choice(EDITS)(bytes(made[start:stop]), chance)
    return bytes(made)


Edit = Callable[[bytes, random.Random], bytes]
EDITS: tuple[Edit, ...] = (
    lambda piece, chance: b"",
    lambda piece, chance: piece * 2,
    lambda piece, chance: piece[::-1],
    lambda piece, chance: piece + chance.randbytes(3),
    lambda piece, chance: chance.choice((b"\r\n", b"\r", b"\n", b"\0", b'"', b";", b"--b", b"--b--", b"\xff", b":")),
)


def by_script(media: str, body: bytes, desk: Desk) -> TestResponse:
    return desk.by.ask("POST", path(desk), {"Content-Type": media}, data=body)


def by_page(media: str, body: bytes, desk: Desk) -> TestResponse:
    headers = {"Content-Type": media, "X-CSRFToken": desk.plain.token}
    return desk.plain.client.post(f"/documents{path(desk)}", headers=headers, data=body)
