"""How long others wait while slow clients, or one account's heavy uploads, are being served."""

import socket
import ssl
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractContextManager, ExitStack, contextmanager, suppress
from http.client import HTTPConnection, HTTPSConnection
from urllib.parse import urlsplit

from bench.ground import HANDED_ON, OURS, Bench
from bench.rounds import Contest, Figure
from bench.servers import MIB, Site, medfiles, request
from medfiles.accounts import api_tokens
from medfiles.database.session import db
from tests.support import nginx, samples

SLOW, PIECES = 20_000, 10  # bytes a second of a slow client, sent in so many pieces
BODY = 10 * MIB
AT_ONCE = 1_200_000  # sent to nginx at first: more than it keeps of a body that it does not buffer
SIDE = 10_000  # 100 megapixels
ASKED, BETWEEN = 100, 0.05
OTHER, HEAVY = "other@sample.example", "heavy@sample.example"


def slow(bench: Bench) -> Iterator[Contest]:
    with medfiles(bench.place / "behind", HTTPS="1", PROXIES="1", THREADS="32") as site:
        with nginx.serve([site.address]) as front:
            ask = asker(site, front.address, front.trust)
            values = [beside(slow_clients(site, front.address, 64, 64, front.trust), ask) for _ in range(bench.rounds)]
        yield Contest("Others beside 64 slow uploads and 64 half heads", "ms", {HANDED_ON: Figure.of(values)})
    with medfiles(bench.place / "alone", THREADS="32") as site:
        ask = asker(site, site.address)
        values = [beside(slow_clients(site, site.address, 32, 0), ask) for _ in range(bench.rounds)]
        yield Contest("Others beside 32 slow uploads", "ms", {OURS: Figure.of(values)})
        values = [beside(slow_clients(site, site.address, 0, 64), ask) for _ in range(bench.rounds)]
        yield Contest("Others beside 64 half heads", "ms", {OURS: Figure.of(values)})
        values = [beside(slow_readers(site, site.address, 80), ask) for _ in range(bench.rounds)]
        yield Contest("Others beside 80 slow downloads", "ms", {OURS: Figure.of(values)})
        ask = asker(site, site.address, path="/healthz")
        values = [beside(heavy_pictures(site), ask) for _ in range(bench.rounds)]
        yield Contest("/healthz beside 24 pictures of 100 megapixels", "ms", {OURS: Figure.of(values)})


def beside(load: AbstractContextManager[None], ask: Callable[[], float]) -> float:
    """Return the 99th percentile of what others wait under this load, in ms."""
    with load:
        waits = []
        for _ in range(ASKED):
            waits.append(ask() * 1000)
            time.sleep(BETWEEN)
    return sorted(waits)[ASKED * 99 // 100 - 1]


def asker(site: Site, address: str, trust: ssl.SSLContext | None = None, path: str = "") -> Callable[[], float]:
    """Return what asks for another account's list of documents, on a connection of its own, and how long it took."""
    token = api_tokens.create(site.world.actor(OTHER), "Bench", api_tokens.WRITE)[1]
    path = path or f"/api/v1/visit/{site.world.record(email=OTHER).id}/files"
    db.session.rollback()

    def ask() -> float:
        begun = time.perf_counter()
        connection = connection_to(address, trust)
        connection.request("GET", path, headers={"Authorization": f"Bearer {token}"})
        answer = connection.getresponse()
        answer.read()
        connection.close()
        assert answer.status == 200, answer.status
        return time.perf_counter() - begun

    return ask


def connection_to(address: str, trust: ssl.SSLContext | None) -> HTTPConnection:
    at = urlsplit(address)
    if trust is None:
        return HTTPConnection(str(at.hostname), at.port, timeout=120)
    return HTTPSConnection(str(at.hostname), at.port, timeout=120, context=trust)


def upload_head(token: str, visit: int, length: int) -> bytes:
    fields = {"Authorization": f"Bearer {token}", "Content-Type": "application/octet-stream"}
    fields |= {"Content-Disposition": "attachment; filename=scan.png", "Content-Length": str(length)}
    return request("POST", f"/api/v1/visit/{visit}/files", fields)


@contextmanager
def slow_clients(
    site: Site, address: str, uploads: int, heads: int, trust: ssl.SSLContext | None = None
) -> Iterator[None]:
    """Keep so many uploads of one account going slowly, and so many connections with half a head."""
    token = api_tokens.create(site.world.actor(HEAVY), "Bench", api_tokens.WRITE)[1]
    visit = site.world.record(email=HEAVY).id
    db.session.rollback()
    stop = threading.Event()
    with ExitStack() as stack:
        senders = [stack.enter_context(connected(address, trust)) for _ in range(uploads)]
        for sender in senders:
            sender.sendall(upload_head(token, visit, BODY) + bytes(AT_ONCE if trust else 0))
        for _ in range(heads):
            stack.enter_context(connected(address, trust)).sendall(b"GET / HTTP/1.1\r\nHost: 127.0.0.1\r\nX-Half")
        thread = threading.Thread(target=send_slowly, args=(senders, stop))
        thread.start()
        stack.callback(thread.join)
        stack.callback(stop.set)
        time.sleep(1)  # the server has them all by then
        yield


@contextmanager
def slow_readers(site: Site, address: str, count: int) -> Iterator[None]:
    """Keep so many downloads of one account going slowly."""
    token = api_tokens.create(site.world.actor(HEAVY), "Bench", api_tokens.WRITE)[1]
    scan = samples.pdf(trailer="%" + "x" * BODY + "\n")
    file = site.world.attach(site.world.record(email=HEAVY), "scan.pdf", scan, HEAVY)
    head = request("GET", f"/api/v1/files/{file.id}/download", {"Authorization": f"Bearer {token}"})
    db.session.rollback()
    stop = threading.Event()
    with ExitStack() as stack:
        readers = [stack.enter_context(connected(address, None)) for _ in range(count)]
        for reader in readers:
            reader.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, SLOW // PIECES)
            reader.sendall(head)
        thread = threading.Thread(target=read_slowly, args=(readers, stop))
        thread.start()
        stack.callback(thread.join)
        stack.callback(stop.set)
        time.sleep(3)  # all are under way by then
        yield


def read_slowly(readers: Sequence[socket.socket], stop: threading.Event) -> None:
    while not stop.wait(1 / PIECES):
        for reader in readers:
            with suppress(BlockingIOError):
                reader.recv(SLOW // PIECES, socket.MSG_DONTWAIT)


def connected(address: str, trust: ssl.SSLContext | None) -> socket.socket:
    at = urlsplit(address)
    plain = socket.create_connection((str(at.hostname), at.port or 80), 120)
    return trust.wrap_socket(plain, server_hostname=at.hostname) if trust else plain


def send_slowly(senders: Sequence[socket.socket], stop: threading.Event) -> None:
    piece, left = bytes(SLOW // PIECES), list(senders)
    while not stop.wait(1 / PIECES):
        for sender in left[:]:
            try:
                sender.sendall(piece)
            except OSError:  # refused: there was no room
                left.remove(sender)


@contextmanager
def heavy_pictures(site: Site) -> Iterator[None]:
    """Upload 24 pictures of 100 megapixels at once with one account, and again those that are told to retry."""
    token = api_tokens.create(site.world.actor(HEAVY), "Bench", api_tokens.WRITE)[1]
    visit, content = site.world.record(email=HEAVY).id, samples.png_file(SIDE, SIDE, 8, 0, bytes((SIDE + 1) * SIDE))
    db.session.rollback()
    stop = threading.Event()

    def send() -> None:
        while not stop.is_set():
            connection = connection_to(site.address, None)
            headers = {"Authorization": f"Bearer {token}", "Content-Type": "application/octet-stream"}
            headers["Content-Disposition"] = "attachment; filename=scan.png"
            try:
                connection.request("POST", f"/api/v1/visit/{visit}/files", content, headers)
                stop.wait(float(connection.getresponse().headers.get("Retry-After", 0)))
            except OSError:  # refused before all of it was sent
                stop.wait(1)
            finally:
                connection.close()

    threads = [threading.Thread(target=send) for _ in range(24)]
    for thread in threads:
        thread.start()
    time.sleep(1)  # all are under way by then
    try:
        yield
    finally:
        stop.set()
        for thread in threads:
            thread.join()
