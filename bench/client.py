"""A client that costs little: one connection, kept open, requests as bytes that were made before."""

import socket
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from urllib.parse import urlsplit

BUFFER = 1 << 18


@dataclass(frozen=True)
class Answer:
    status: int
    head: bytes
    size: int
    body: bytes


class Client:
    """`ask` sends a request and reads its answer; of large ones only the first bytes are kept."""

    def __init__(self, address: str) -> None:
        place = urlsplit(address)
        self._place = (str(place.hostname), int(place.port or 80))
        self._socket = socket.create_connection(self._place, 60)
        self._socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self._buffer = bytearray(BUFFER)

    def ask(self, request: bytes, body: bytes = b"") -> Answer:
        if body and len(body) <= 4096:
            self._socket.sendall(request + body)
        else:
            self._socket.sendall(request)
            if body:
                self._socket.sendall(body)
        answer = self._read()
        if b"\r\nconnection: close" in answer.head.lower():
            self.close()
            self._socket = socket.create_connection(self._place, 60)
        return answer

    def close(self) -> None:
        self._socket.close()

    def _read(self) -> Answer:
        head = bytearray()
        while (end := head.find(b"\r\n\r\n")) < 0:
            piece = self._socket.recv(65536)
            if not piece:
                raise ConnectionError(bytes(head[:200]))
            head += piece
        body, head = head[end + 4 :], head[:end]
        length = int(_field(bytes(head), b"content-length"))
        size, kept = len(body), bytes(body)
        while size < length:
            count = self._socket.recv_into(self._buffer, min(BUFFER, length - size))
            if not count:
                raise ConnectionError("cut off")
            if size < 65536:
                kept += self._buffer[:count]
            size += count
        return Answer(int(head[9:12]), bytes(head), size, kept)


def _field(head: bytes, name: bytes) -> bytes:
    for line in head.split(b"\r\n")[1:]:
        key, _, value = line.partition(b":")
        if key.lower() == name:
            return value.strip()
    raise ValueError(f"no {name!r} in {head!r}")


Work = Callable[[Client, int], None]


def seconds_each(address: str, work: Work, numbers: Iterator[int], count: int) -> list[float]:
    """How long each of `count` pieces of work took, one after another on one connection."""
    client, found = Client(address), []
    try:
        for _ in range(count):
            begun = time.perf_counter()
            work(client, next(numbers))
            found.append(time.perf_counter() - begun)
    finally:
        client.close()
    return found


def seconds_together(address: str, work: Work, numbers: Iterator[int], count: int, clients: int) -> float:
    """How long `clients` that share `count` pieces of work take for all of it."""
    parts = [[next(numbers) for _ in range(count // clients)] for _ in range(clients)]
    ready = threading.Barrier(clients + 1)
    failed: list[Exception] = []

    def run(mine: Sequence[int]) -> None:
        client = Client(address)
        ready.wait()
        try:
            for number in mine:
                work(client, number)
        except (OSError, AssertionError) as error:
            failed.append(error)
        finally:
            client.close()

    threads = [threading.Thread(target=run, args=(part,)) for part in parts]
    for thread in threads:
        thread.start()
    ready.wait()
    begun = time.perf_counter()
    for thread in threads:
        thread.join()
    if failed:
        raise failed[0]
    return time.perf_counter() - begun
