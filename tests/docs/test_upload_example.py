"""docs/examples/upload_folder.py, run as its readers run it: against a real server, also one that goes away."""

import json
import os
import signal
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator, Mapping
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from hashlib import sha256
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path
from typing import IO, Any

import pytest

from medfiles.accounts import api_tokens
from medfiles.sandbox.pool import Sandbox
from tests.support import samples
from tests.support.factories import World, install
from tests.support.server import ROOT, reserved_port, serve

SCRIPT = ROOT / "docs" / "examples" / "upload_folder.py"
SECONDS = 120
FRAME = b"\xff\xfb\x90\0" + bytes(413)  # of MPEG
SONG = b"ID3\3\0\0\0\0\0\x13TIT2\0\0\0\x09\0\0\0La la la" + 2 * FRAME


@dataclass(frozen=True)
class Place:
    """An installation with one visit, and a folder of files."""

    world: World
    settings: Mapping[str, str]
    folder: Path
    visit: int
    token: str

    def command(self, address: str) -> list[str]:
        return [sys.executable, str(SCRIPT), str(self.folder), f"{address}/api/v1/visit/{self.visit}"]

    def run(self, address: str) -> "subprocess.CompletedProcess[str]":
        return subprocess.run(
            self.command(address), env=self.environ(), capture_output=True, text=True, timeout=SECONDS, check=False
        )

    @contextmanager
    def running(self, address: str) -> Iterator["subprocess.Popen[str]"]:
        pipes: Any = {"stdout": subprocess.PIPE, "stderr": subprocess.PIPE, "text": True}
        with subprocess.Popen(self.command(address), env=self.environ(), **pipes) as script:
            try:
                yield script
            finally:
                script.kill()

    def environ(self) -> dict[str, str]:
        return {**os.environ, "TOKEN": self.token}

    def stored(self) -> dict[str, str]:
        """Names and digests of what the visit holds; each name once."""
        files = self.world.files()
        found = {file.file_name: file.sha256 for file in files}
        assert len(found) == len(files)
        return found

    def sent(self) -> dict[str, str]:
        return {path.name: sha256(path.read_bytes()).hexdigest() for path in self.folder.iterdir()}


@pytest.fixture
def place(tmp_path: Path, new_database: Callable[[Path], str], sandbox: Sandbox) -> Iterator[Place]:
    folder, instance = tmp_path / "letters", tmp_path / "instance"
    folder.mkdir()
    instance.mkdir()
    for number in range(1, 8):
        (folder / f"Letter {number} – März.pdf").write_bytes(samples.pdf(pages=number))
    settings = {
        "MEDFILES_INSTANCE": str(instance),
        "MEDFILES_DATABASE_URL": new_database(tmp_path),
        "MEDFILES_WORKERS": "1",
        "GUNICORN_CMD_ARGS": "--graceful-timeout 0",  # or it waits for a client that was stopped while it sends
    }
    with install(settings, sandbox) as world:
        token = api_tokens.create(world.actor(), "Folder", api_tokens.WRITE)[1]
        yield Place(world, settings, folder, world.record().id, token)


def read_line(pipe: IO[str] | None) -> str:
    assert pipe is not None
    return pipe.readline()


def test_a_folder_is_stored_and_a_second_run_adds_nothing(place: Place) -> None:
    with serve(place.settings) as address:
        first, second = place.run(address), place.run(address)
    assert (first.returncode, first.stderr) == (0, "")
    assert (second.returncode, second.stdout) == (0, first.stdout)
    assert len(first.stdout.splitlines()) == 7
    assert place.stored() == place.sent()


def test_it_goes_on_when_the_server_comes_back(place: Place) -> None:
    with reserved_port() as port, ExitStack() as first_server:
        address = first_server.enter_context(serve(place.settings, port))
        with place.running(address) as script:
            assert read_line(script.stdout).startswith("Letter 1")
            script.send_signal(signal.SIGSTOP)
            first_server.close()
            script.send_signal(signal.SIGCONT)
            assert "retrying" in read_line(script.stderr)
            with serve(place.settings, port):
                assert script.wait(SECONDS) == 0
    assert place.stored() == place.sent()


def test_what_is_refused_is_said_and_the_others_are_stored(place: Place) -> None:
    (place.folder / "Song.mp3").write_bytes(SONG)
    (place.folder / "Huge.pdf").write_bytes(samples.pdf() + bytes(26 * 1024 * 1024))
    with serve(place.settings) as address:
        ran = place.run(address)
    assert ran.returncode == 1
    assert "Song.mp3: This is an audio file, which cannot be added here." in ran.stderr
    assert "Huge.pdf: This file is too large. The limit is 25 MB." in ran.stderr
    assert len(place.stored()) == 7


def test_it_does_not_believe_an_answer_about_other_bytes(place: Place) -> None:
    with answering({"id": 1, "sha256": "0" * 64}) as address:
        ran = place.run(address)
    assert ran.returncode == 1
    assert ran.stderr.count("the stored document differs from the file") == 7


@contextmanager
def answering(document: Mapping[str, Any]) -> Iterator[str]:
    """A server that answers every upload with this."""

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            self.rfile.read(int(self.headers["Content-Length"]))
            self.send_response(201)
            self.end_headers()
            self.wfile.write(json.dumps(document).encode())

        def log_message(self, *_: Any) -> None:
            return None

    with HTTPServer(("127.0.0.1", 0), Handler) as server:
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        yield f"http://127.0.0.1:{server.server_port}"
        server.shutdown()
        thread.join()
