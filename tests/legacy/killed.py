"""Runs commands of an installation in processes that are killed: at a named point, or after some time.

It is a program that has everything loaded and forks a process for each command, which takes no time to start.
"""

import json
import os
import select
import signal
import subprocess
import sys
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from importlib import import_module
from pathlib import Path
from typing import Any

ROOT = Path(__file__).parents[2]


@dataclass
class Runner:
    """`run` gives the exit status of `flask medfiles …`; -9 when it was killed."""

    process: "subprocess.Popen[str]"

    def run(
        self, environ: Mapping[str, str], *words: str, at: Sequence[Any] | None = None, after: float | None = None
    ) -> int:
        """`at`: (module, name of a function in it, "before" or "after", which call of it) kills there; `after`: after
        so many seconds, unless it has ended by then."""
        assert self.process.stdin is not None
        assert self.process.stdout is not None
        order = {"environ": dict(environ), "words": words, "at": at, "after": after}
        self.process.stdin.write(json.dumps(order) + "\n")
        self.process.stdin.flush()
        return int(self.process.stdout.readline())


@contextmanager
def runner() -> Iterator[Runner]:
    command = [sys.executable, "-m", "tests.legacy.killed"]
    pipes = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE, "text": True}
    with subprocess.Popen(command, cwd=ROOT, **pipes) as process:  # type: ignore[call-overload]
        yield Runner(process)
        process.stdin.close()


def _serve() -> None:
    for name in ("medfiles.app", "medfiles.legacy.migration", "medfiles.sandbox.inspect.inspection", "psycopg"):
        import_module(name)
    for line in sys.stdin:
        order = json.loads(line)
        child = os.fork()
        if child == 0:
            _be_the_command(order)
        print(_wait(child, order["after"]), flush=True)


def _wait(child: int, after: float | None) -> int:
    handle = os.pidfd_open(child)
    ended, _, _ = select.select([handle], [], [], after)
    os.close(handle)
    if not ended:
        os.kill(child, signal.SIGKILL)
    return os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])


def _be_the_command(order: Mapping[str, Any]) -> None:
    """Never returns."""
    sys.stdin.close()
    quiet = os.open(os.devnull, os.O_WRONLY)
    os.dup2(quiet, 1)
    os.dup2(quiet, 2)
    import_module("medfiles.documents.detection").recognise = _recognise  # type: ignore[attr-defined]
    if order["at"]:
        _arm(*order["at"])
    app = import_module("medfiles.app").create_app(order["environ"])
    with app.app_context():
        result = app.test_cli_runner().invoke(args=["medfiles", *order["words"]])
    os._exit(result.exit_code)


def _recognise(path: Path, extension: str, _: Any) -> Any:
    """Without a worker, which takes longer to start than everything else here."""
    found = {} if not path.stat().st_size else _inspected(path, extension)
    if "media_type" not in found:
        return None
    values = found["media_type"], found["pages"], found["extension"]
    return import_module("medfiles.documents.detection").Found(*values)


def _inspected(path: Path, extension: str) -> dict[str, Any]:
    inspection: Any = import_module("medfiles.sandbox.inspect.inspection")
    with path.open("rb") as file:
        found: dict[str, Any] = inspection.inspect(file, extension)
    return found


def _arm(module: str, name: str, when: str, which: int) -> None:
    owner: Any = import_module(module)
    *path, last = name.split(".")
    for part in path:
        owner = getattr(owner, part)
    inner, calls = getattr(owner, last), 0

    def armed(*arguments: Any, **options: Any) -> Any:
        nonlocal calls
        calls += 1
        if calls == which and when == "before":
            os.kill(os.getpid(), signal.SIGKILL)
        result = inner(*arguments, **options)
        if calls == which and when == "after":
            os.kill(os.getpid(), signal.SIGKILL)
        return result

    setattr(owner, last, armed)


if __name__ == "__main__":
    _serve()
