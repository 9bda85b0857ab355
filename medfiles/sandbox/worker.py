"""The worker process: load tasks, drop privileges, and run one job per line of input."""

import contextlib
import encodings
import importlib
import json
import os
import pkgutil
import runpy
import signal
import socket
import sys
from collections.abc import Callable, Mapping
from typing import Any

from medfiles.sandbox import confinement

Task = Callable[..., dict[str, Any]]
LATE_IMPORTS = ("_strptime", "colorsys", "heapq", "xml.dom.expatbuilder")  # imported by libraries on first use


def main() -> None:
    settings = json.loads(sys.argv[2])
    channel = socket.socket(fileno=0)
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C stops the server, which stops its workers after their jobs
    sys.excepthook = lambda kind, value, trace: send(channel, {"died": kind.__name__})
    os.nice(settings["nice"])
    sys.modules.update(dict.fromkeys(settings["without"]))
    tasks = load(settings["tasks"])
    layers = confinement.confine(settings["memory"], settings["handles"], settings["landlock"])
    send(channel, {"answer": layers})
    serve(channel, tasks, settings)


def load(sources: list[str]) -> dict[str, Task]:
    tasks: dict[str, Task] = {}
    for source in sources:
        named = runpy.run_path(source) if source.endswith(".py") else vars(importlib.import_module(source))
        tasks.update(named["TASKS"])
    if tasks:
        import_in_advance()
    return tasks


def import_in_advance() -> None:
    """Import what tasks would import later, because a confined worker cannot open files, not even Python's own."""
    codecs = [f"encodings.{module.name}" for module in pkgutil.iter_modules(encodings.__path__)]
    for name in (*LATE_IMPORTS, *codecs):
        with contextlib.suppress(ImportError):  # Windows encodings, or ones that this Python was built without
            importlib.import_module(name)


def serve(channel: socket.socket, tasks: Mapping[str, Task], settings: Mapping[str, Any]) -> None:
    while job := receive(channel):
        confinement.allow_cpu(settings["cpu"])
        signal.setitimer(signal.ITIMER_REAL, settings["wall"])  # a dead parent cannot kill a stuck job
        send(channel, {"answer": perform(tasks, *job)})
        signal.setitimer(signal.ITIMER_REAL, 0)


def perform(tasks: Mapping[str, Task], job: dict[str, Any], handles: list[int]) -> dict[str, Any]:
    modes = [(name, "rb") for name in job["files"]] + [(name, "r+b") for name in job["outputs"]]
    files = {name: os.fdopen(handle, mode) for (name, mode), handle in zip(modes, handles, strict=True)}
    try:
        return tasks[job["task"]](**job["arguments"], **files)
    finally:
        for file in files.values():
            file.close()


def receive(channel: socket.socket) -> tuple[dict[str, Any], list[int]] | None:
    line, handles, _, _ = socket.recv_fds(channel, 65536, 8)
    while line and not line.endswith(b"\n"):
        more = channel.recv(65536)
        line = line + more if more else b""
    return (json.loads(line), list(handles)) if line else None


def send(channel: socket.socket, message: dict[str, Any]) -> None:
    channel.sendall(json.dumps(message).encode() + b"\n")
