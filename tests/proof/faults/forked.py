"""Runs verbs in processes of their own that faults are done to: killed, refused by the system, cut off from their disk.

It is a program that has everything loaded and forks a process for each order, which takes no time to start. What strace
injects into that process, it does from the first system call of the request on: the process waits until it is traced.
"""

import json
import os
import resource
import signal
import socket
import sqlite3
import subprocess
import sys
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from importlib import import_module
from pathlib import Path
from typing import Any

from tests.support.tools import need

ROOT = Path(__file__).parents[3]
LIBRARIES = (
    "argon2", "babel.dates", "charset_normalizer", "contentdisp", "flask_limiter", "flask_migrate", "flask_security",
    "flask_session", "flask_wtf", "lxml.etree", "numpy", "olefile", "psycopg", "pi_heif", "PIL.Image", "pydantic",
    "pydicom", "pypdfium2", "qrcode", "sqlalchemy.dialects.postgresql", "sqlalchemy.dialects.sqlite", "structlog",
    "ua_parser", "wtforms",
)  # fmt: skip
KILLED, RAISED = -signal.SIGKILL, 99


@dataclass
class Forge:
    """`run` gives the status of the answer to a verb, KILLED, or RAISED when the app answered nothing."""

    process: "subprocess.Popen[str]"

    def run(self, environ: Mapping[str, str], verb: str, facts: Mapping[str, Any], **fault: Any) -> int:
        """Faults: `trace`, what strace is told; `largest`, beyond how many bytes no file may grow; `lose`, which commit
        fails for the app, and whether "before" or "after" it took effect; `patience`, seconds to wait for SQLite."""
        if "trace" in fault:
            need("strace")
        return self._answer({"forked": True, "environ": dict(environ), "verb": verb, "facts": facts, **fault})

    def warm_up(self, environ: Mapping[str, str], facts: Mapping[str, Any]) -> None:
        """Do everything once, in the program itself: what is done for the first time takes long."""
        for verb in import_module("tests.proof.faults.verbs").EVERY_DAY:
            self._answer({"forked": False, "environ": dict(environ), "verb": verb, "facts": facts})

    def _answer(self, order: Mapping[str, Any]) -> int:
        assert self.process.stdin is not None
        assert self.process.stdout is not None
        self.process.stdin.write(json.dumps(order) + "\n")
        self.process.stdin.flush()
        answer = self.process.stdout.readline()
        if not answer:
            raise RuntimeError("The program that runs the verbs has ended; its own words are above")
        code = int(answer)
        return code + 400 if 0 < code < RAISED or code > RAISED else 200 if code == 0 else code

    @contextmanager
    def serving(self, root: Path = ROOT) -> Iterator[None]:
        """Until the block ends, what runs is the package in this folder: the product, or a mutant."""
        self._answer({"root": str(root)})
        try:
            yield
        finally:  # otherwise the next block would talk to the wrong process
            self._answer({"root": None})


@contextmanager
def forge() -> Iterator[Forge]:
    command = [sys.executable, "-m", "tests.proof.faults.forked"]
    pipes = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE, "text": True}
    with subprocess.Popen(command, cwd=ROOT, **pipes) as process:  # type: ignore[call-overload]
        yield Forge(process)
        process.stdin.close()


def _wait() -> None:
    """Load what all roots have in common, then fork a process for each that is served."""
    for name in LIBRARIES:
        import_module(name)
    for line in sys.stdin:
        child = os.fork()
        if child == 0:
            _serve(json.loads(line)["root"])
        print(abs(os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])), flush=True)


def _serve(root: str) -> None:
    """Never returns."""
    os.chdir(root)
    sys.path[0] = root
    print(0, flush=True)
    apps: dict[str, Any] = {}
    verbs = import_module("tests.proof.faults.verbs").VERBS
    for line in sys.stdin:
        order = json.loads(line)
        if "root" in order:
            os._exit(0)
        name = json.dumps(order["environ"], sort_keys=True)
        if name not in apps:
            apps[name] = _made(order["environ"])
        answer = _run if order["forked"] else _warmed
        print(answer(apps[name], verbs[order["verb"]], order), flush=True)
    os._exit(0)


class Looking:
    """In place of the sandbox, whose worker takes longer to start than everything else here."""

    def run(self, task: str, file: Path, **about: Any) -> Any:
        with import_module("medfiles.sandbox.pool").open_file(file) as opened:
            return import_module("medfiles.sandbox.inspect.inspection").inspect(opened, **about)


def _made(environ: Mapping[str, str]) -> Any:
    app = import_module("medfiles.app").create_app(environ)
    app.extensions["medfiles"] = replace(app.extensions["medfiles"], sandbox=Looking())
    import_module("medfiles.sandbox.inspect.inspection")
    return app


def _warmed(app: Any, verb: Any, order: Mapping[str, Any]) -> int:
    words = os.dup(2)
    _quiet(2)
    verb(app, order["facts"])
    os.dup2(words, 2)
    os.close(words)
    with app.app_context():
        import_module("medfiles.database.session").db.engine.dispose()
    return 0


def _run(app: Any, verb: Any, order: Mapping[str, Any]) -> int:
    ours, theirs = socket.socketpair()
    child = os.fork()
    if child == 0:
        ours.close()
        _be_the_request(app, verb, order, theirs)
    theirs.close()
    with ours:
        ours.recv(1)  # Prepared: tracing from earlier on would also fail calls that are not the request's.
        tracer = _traced(child, order["trace"]) if "trace" in order else None
        ours.send(b".")
    status = os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])
    if tracer is not None:
        tracer.communicate()
    return status


def _prepare(app: Any, order: Mapping[str, Any]) -> None:
    if "largest" in order:
        signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
        resource.setrlimit(resource.RLIMIT_FSIZE, (order["largest"], order["largest"]))
    if "patience" in order:
        import_module("medfiles.database.sqlite").BUSY_SECONDS = order["patience"]  # type: ignore[attr-defined]
    if "lose" in order:
        with app.app_context():
            _lose(import_module("medfiles.database.session").db.engine.dialect, *order["lose"])


def _lose(dialect: Any, which: int, when: str) -> None:
    real, commits = dialect.do_commit, 0

    def commit(connection: Any) -> None:
        nonlocal commits
        commits += 1
        if commits != which or when == "after":
            real(connection)
        if commits == which:
            raise sqlite3.OperationalError("disk I/O error")

    dialect.do_commit = commit


def _quiet(*streams: int) -> None:
    nothing = os.open(os.devnull, os.O_RDWR)
    for stream in streams:
        os.dup2(nothing, stream)
    os.close(nothing)


def _traced(child: int, words: Sequence[str]) -> "subprocess.Popen[bytes]":
    tracer = subprocess.Popen(["strace", "-p", str(child), *words], stderr=subprocess.PIPE)
    assert tracer.stderr is not None
    said = tracer.stderr.readline()
    if b"attached" not in said:
        os.kill(child, signal.SIGKILL)
        raise RuntimeError(f"strace cannot trace here: {said.decode()}")
    return tracer


def _be_the_request(app: Any, verb: Any, order: Mapping[str, Any], parent: socket.socket) -> None:
    """Never returns."""
    code = RAISED
    try:
        _quiet(0, 1, 2)
        _prepare(app, order)
        parent.send(b".")
        parent.recv(1)
        status = verb(app, order["facts"])
        code = 0 if status < 300 else status - 400
    finally:
        os._exit(code)


if __name__ == "__main__":
    _wait()
