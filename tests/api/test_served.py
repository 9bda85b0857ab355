"""The API behind the real server: what a broken connection leaves, what odd requests get, retries across processes."""

import json
import runpy
import socket
from collections import Counter
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from http.client import HTTPConnection, HTTPResponse
from pathlib import Path
from urllib.parse import urlsplit

import psutil
import pytest
from gunicorn.http.unreader import SocketUnreader

from medfiles.http.request_body import CHUNK
from medfiles.sandbox.pool import Sandbox
from tests.support import samples
from tests.support.api_client import HOME, RAW, Script, disposition, end, part, script
from tests.support.factories import World, install, run_at_once
from tests.support.server import ROOT, serve

pytestmark = pytest.mark.database

SECONDS = 20
CLIENTS = 14  # as many as one process takes of an account, waiting or not
MULTIPART = "multipart/form-data; boundary=b"
BODY = part("letter.pdf", samples.pdf()) + end()


@dataclass
class Served:
    """The running server, what it keeps, and a token for it."""

    world: World
    by: Script
    host: str
    port: int

    def files(self) -> str:
        return f"{HOME}/visit/{self.world.record().id}/files"

    def head(self, path: str, length: object, method: str = "POST", **headers: str) -> bytes:
        lines = {"Host": "medfiles.example", "Content-Length": length, **self.by.headers, "Connection": "close"}
        lines |= {name.replace("_", "-"): value for name, value in headers.items()}
        told = "".join(f"{name}: {value}\r\n" for name, value in lines.items())
        return f"{method} {path} HTTP/1.1\r\n{told}\r\n".encode("latin-1")

    def say(self, *chunks: bytes, listen: bool = True) -> int | None:
        """Send these bytes and no more; the status that comes back, None when nobody waited for it or none came."""
        with socket.create_connection((self.host, self.port), SECONDS) as connection:
            for chunk in chunks:
                connection.sendall(chunk)
            if not listen:
                return None
            connection.shutdown(socket.SHUT_WR)
            answer = HTTPResponse(connection)
            answer.begin()
            answer.read()
            return answer.status

    def alive(self) -> bool:
        return self.say(self.head(f"{HOME}/patients", 0, "GET")) == 200


@pytest.fixture(scope="module")
def served(
    tmp_path_factory: pytest.TempPathFactory, new_database: Callable[[Path], str], sandbox: Sandbox
) -> Iterator[Served]:
    place = tmp_path_factory.mktemp("served")
    settings = {"MEDFILES_INSTANCE": str(place), "MEDFILES_DATABASE_URL": new_database(place), "MEDFILES_WORKERS": "2"}
    settings["MEDFILES_JOBS"] = "worker"  # a server that draws a thumbnail meanwhile has an open journal entry
    with install(settings, sandbox) as world, serve(settings) as address:
        at = urlsplit(address)
        assert at.hostname
        assert at.port
        yield Served(world, script(world), at.hostname, at.port)


def test_the_app_is_loaded_before_the_workers_are_forked_and_they_store_uploads(served: Served) -> None:
    servers = [one for one in psutil.Process().children(recursive=True) if "gunicorn" in " ".join(one.cmdline())]
    [master] = [one for one in servers if one.parent() not in servers]
    assert any(len(master.children()) >= 2 for _ in range(500) if served.alive())  # the second is forked a moment later
    assert any("pydantic_core" in mapped.path for mapped in master.memory_maps())
    assert master.num_threads() == 1
    path = served.files()
    with ThreadPoolExecutor(8) as clients:
        heads = [served.head(path, len(BODY), Content_Type=MULTIPART)] * 8
        assert [*clients.map(lambda head: served.say(head, BODY), heads)] == [201] * 8


def test_a_body_that_ends_too_early_stores_nothing(served: Served) -> None:
    count = len(served.world.files())
    for left in (1, 4, 9, len(BODY) // 2, len(BODY) - 60):
        for media_type in (MULTIPART, RAW):
            sent = {"Content_Type": media_type, "Content_Disposition": disposition("letter.pdf")}
            assert served.say(served.head(served.files(), len(BODY), **sent), BODY[: len(BODY) - left]) == 400
        cut = BODY[: len(BODY) - left - 2]  # a form without its end
        assert served.say(served.head(served.files(), len(cut), Content_Type=MULTIPART), cut) == 422
    assert len(served.world.files()) == count
    served.world.assert_settled()


def test_a_connection_that_breaks_leaves_nothing(served: Served) -> None:
    count, path = len(served.world.files()), served.files()
    for sent in (0, 10, len(BODY) // 2, len(BODY) - 1):
        served.say(served.head(path, len(BODY), Content_Type=MULTIPART), BODY[:sent], listen=False)
    assert any(served.alive() and settled(served) for _ in range(500))  # a worker may still be at what it lost
    assert len(served.world.files()) == count


def settled(served: Served) -> bool:
    try:
        served.world.assert_settled()
    except AssertionError:
        return False
    return True


def test_a_whole_body_in_many_small_pieces_is_stored(served: Served) -> None:
    path = served.files()
    pieces = [BODY[at : at + 100] for at in range(0, len(BODY), 100)]
    assert served.say(served.head(path, len(BODY), Content_Type=MULTIPART), *pieces) == 201


def test_tries_at_two_processes_under_one_key_are_one_document(served: Served) -> None:
    path, answers = served.files(), list[tuple[int, int]]()
    before = {file.id for file in served.world.files()}

    def send() -> None:
        connection = HTTPConnection(served.host, served.port, timeout=60)
        headers = {**served.by.headers, "Content-Type": RAW, "Content-Disposition": disposition("letter.pdf")}
        connection.request("POST", path, samples.pdf(2), {**headers, "Idempotency-Key": path})
        answer = connection.getresponse()
        answers.append((answer.status, json.loads(answer.read())["id"]))
        connection.close()

    run_at_once([send] * CLIENTS)
    assert Counter(status for status, _ in answers) == {201: 1, 200: CLIENTS - 1}
    assert {file_id for _, file_id in answers} == {file.id for file in served.world.files()} - before
    served.world.assert_settled()


def test_uploads_at_two_processes_race_for_the_last_places_and_fill_them(served: Served) -> None:
    path, most = served.files(), served.world.kind().max_files

    def send(number: int) -> int:
        connection = HTTPConnection(served.host, served.port, timeout=60)
        headers = {**served.by.headers, "Content-Type": RAW, "Content-Disposition": disposition("letter.txt")}
        connection.request("POST", path, b"racer %d" % number, headers)
        status = connection.getresponse().status
        connection.close()
        return status

    with ThreadPoolExecutor(CLIENTS) as pool:
        statuses = Counter(pool.map(send, range(most + 6)))
    assert statuses == {201: most, 409: 6}
    served.world.assert_settled()


def test_no_more_of_a_body_is_read_at_once_than_is_asked_for(monkeypatch: pytest.MonkeyPatch) -> None:
    class Line:
        def recv(self, size: int) -> bytes:
            asked.append(size)
            return b"x" * size

    asked: list[int] = []
    monkeypatch.setattr(SocketUnreader, "max_body_chunk", SocketUnreader.max_body_chunk)
    runpy.run_path(str(ROOT / "gunicorn.conf.py"))
    SocketUnreader(Line()).read(CHUNK, read_ahead=100 * CHUNK)
    assert asked == [CHUNK]
