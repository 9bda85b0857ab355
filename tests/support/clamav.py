"""ClamAV's real daemon for tests, with two signatures of its own; and a pretender that misbehaves."""

import os
import pwd
import socket
import struct
import subprocess
import tempfile
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import replace
from pathlib import Path

from medfiles.antivirus.clamd import Clamd
from tests.support import tools
from tests.support.factories import World

# The test file of the makers of such scanners, never as a whole in any file.
EICAR = b"".join([b"X5O!P%@AP[4\\PZX54(P^)7CC)7}$", b"EICAR-STANDARD-", b"ANTIVIRUS-TEST-FILE!$H+H*"])
FILES = tools.malware_samples()
SECONDS = 30.0


AWAY = Clamd("tcp://127.0.0.1:1", 5)


@contextmanager
def daemon(**settings: str) -> Iterator[Clamd]:
    """Listens on a socket in a folder of its own; `settings` are those of clamd.conf."""
    tools.need("clamd")
    with tempfile.TemporaryDirectory(prefix="clamd-") as name:
        folder, said = Path(name), {"LocalSocket": f"{name}/socket", "User": pwd.getpwuid(os.getuid()).pw_name}
        said |= {"DatabaseDirectory": f"{name}/signatures", "Foreground": "yes", "LogFile": f"{name}/log", **settings}
        (folder / "signatures").mkdir()
        (folder / "signatures" / "tests.ndb").write_text(_signatures())
        (folder / "clamd.conf").write_text("".join(f"{setting} {value}\n" for setting, value in said.items()))
        log = folder / "log"
        process = subprocess.Popen(
            [*tools.command("clamd"), f"--config-file={name}/clamd.conf"], stdout=subprocess.DEVNULL
        )
        try:
            scanner = Clamd(f"unix:{name}/socket", SECONDS)
            _wait_for(scanner, process, log)
            yield scanner
        finally:
            process.terminate()
            process.wait(20)


def scanned_by(world: World, scanner: Clamd | None) -> World:
    """The same installation, with another scanner or none."""
    world.app.extensions["medfiles"] = replace(world.parts, scanner=scanner)
    return world


def _signatures() -> str:
    """Two: the test file, and the small program that ClamAV's own test files are packed around."""
    known = {"Test.Eicar": EICAR, "Test.Program": (FILES / "clam.exe").read_bytes()}
    return "".join(f"{name}:0:*:{content.hex()}\n" for name, content in known.items())


def _wait_for(scanner: Clamd, process: "subprocess.Popen[bytes]", log: Path) -> None:
    end = time.monotonic() + SECONDS
    while scanner.version() is None:
        if process.poll() is not None or time.monotonic() > end:
            raise RuntimeError(f"clamd did not start: {log.read_text() if log.exists() else 'it wrote no log'}")
        time.sleep(0.02)


@contextmanager
def pretender(answer: Callable[[socket.socket], None]) -> Iterator[str]:
    """The address of something that takes all that is sent and then does this with whoever sent it."""

    def serve() -> None:
        with suppress(OSError):
            while True:
                line, _ = listener.accept()
                with line, suppress(OSError):
                    answer(line)

    with socket.create_server(("127.0.0.1", 0)) as listener:
        thread = threading.Thread(target=serve, daemon=True)
        thread.start()
        yield f"tcp://127.0.0.1:{listener.getsockname()[1]}"
        listener.shutdown(socket.SHUT_RDWR)
    thread.join(10)


def take_all(line: socket.socket) -> bytes:
    """The command and the chunks up to the last, without their lengths."""
    with line.makefile("rb") as stream:
        command = b"".join(iter(lambda: stream.read(1), b"\0"))
        if command != b"zINSTREAM":
            return command
        sent = [command]
        while size := struct.unpack("!L", stream.read(4))[0]:
            sent.append(stream.read(size))
        return b"".join(sent)
