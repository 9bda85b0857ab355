"""Text recognition (OCR): one interface, and the engines that are installed.

RapidOCR runs inside a sandbox worker. Tesseract is a program of its own: it only gets a picture that a worker has drawn
again, and runs with resource limits and an empty environment.
"""

import base64
import csv
import importlib.util
import io
import os
import shutil
import subprocess
import sys
import threading
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Protocol

from medfiles.sandbox.pool import KILLED, Limits, NotChecked, Sandbox, TimedOut, WorkerUnavailable
from medfiles.texts.layout import Line

TASKS = ("medfiles.sandbox.recognition",)
# The models fill half a gigabyte. Starting means loading them; a page takes about 8 seconds of processor time.
LIMITS = Limits(memory=3 * 1024**3, cpu=120, wall=300.0, jobs=200, start=120.0, queue=300.0, nice=15)
AUTO, OFF, RAPIDOCR, TESSERACT = "auto", "off", "rapidocr", "tesseract"
CHOICES = (AUTO, RAPIDOCR, TESSERACT, OFF)
LANGUAGES = ("eng", "deu", "fra", "spa")
SECONDS, CPU, MEMORY, LARGEST = 120, 90, 2 * 1024**3, 64 * 1024**2
LIMITED = f"""
import os, resource, sys
resource.setrlimit(resource.RLIMIT_CPU, ({CPU}, {CPU}))
resource.setrlimit(resource.RLIMIT_AS, ({MEMORY}, {MEMORY}))
resource.setrlimit(resource.RLIMIT_FSIZE, ({LARGEST}, {LARGEST}))
resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
os.nice(15)
os.execv(sys.argv[1], sys.argv[1:])
"""
ONE_AT_A_TIME = threading.Semaphore(1)


class Engine(Protocol):
    """Finds the words on a page."""

    @property
    def name(self) -> str: ...

    def recognize(self, path: Path, media_type: str, page: int) -> Sequence[Line]:
        """Return the lines of words of a page. Raises NotChecked if the page cannot be read safely."""

    def close(self) -> None:
        """Free the memory until the next page."""


@dataclass(frozen=True)
class RapidOcr:
    sandbox: Sandbox
    name: str = RAPIDOCR

    def recognize(self, path: Path, media_type: str, page: int) -> Sequence[Line]:
        answer = self.sandbox.run("recognize", file=path, media_type=media_type, page=page)
        if "reason" in answer:
            raise NotChecked()
        return lines_of(answer)

    def close(self) -> None:
        self.sandbox.close()


@dataclass(frozen=True)
class Tesseract:
    """`renderers` are the workers that draw the page."""

    program: str
    renderers: Sandbox
    name: str = TESSERACT

    def recognize(self, path: Path, media_type: str, page: int) -> Sequence[Line]:
        answer = self.renderers.run("scan", file=path, media_type=media_type, page=page)
        if "reason" in answer:
            raise NotChecked()
        with ONE_AT_A_TIME:
            return lines_in(self._run(base64.b64decode(answer["png"])))

    def close(self) -> None:
        pass

    def _run(self, picture: bytes) -> str:
        installed = languages(self.program)
        wanted = [language for language in LANGUAGES if language in installed] or installed[:1]
        options = ["stdin", "stdout", *(["-l", "+".join(wanted)] if wanted else []), "tsv"]
        command = [sys.executable, "-I", "-c", LIMITED, self.program, *options]
        try:
            done = subprocess.run(
                command, input=picture, capture_output=True, env=ENVIRONMENT, cwd="/", timeout=SECONDS
            )
        except subprocess.TimeoutExpired as error:
            raise TimedOut() from error
        if done.returncode:
            raise WorkerUnavailable() if done.returncode in KILLED else NotChecked()
        return done.stdout.decode("utf-8", "replace")


ENVIRONMENT = {"PATH": os.defpath, "OMP_THREAD_LIMIT": "1"}


def languages(program: str) -> list[str]:
    """Return the languages that Tesseract has models for."""
    try:
        done = subprocess.run([program, "--list-langs"], capture_output=True, env=ENVIRONMENT, timeout=10)
    except (OSError, subprocess.TimeoutExpired):
        return []
    return [line for line in done.stdout.decode(errors="replace").split("\n")[1:] if line and line != "osd"]


def engine_for(choice: str, renderers: Sandbox, **limits: Any) -> Engine | None:
    """Return the chosen engine, or None. `auto` takes RapidOCR, else Tesseract, if one is installed."""
    if choice in (AUTO, RAPIDOCR) and has_rapidocr():
        return RapidOcr(Sandbox(1, TASKS, replace(LIMITS, **limits)))
    program = shutil.which("tesseract") if choice in (AUTO, TESSERACT) else None
    return Tesseract(program, renderers) if program else None


def has_rapidocr() -> bool:
    return all(importlib.util.find_spec(module) for module in ("rapidocr", "onnxruntime"))


def lines_of(answer: dict[str, Any]) -> list[Line]:
    """Return the lines of a worker's answer. Raises NotChecked if they are not what a worker sends."""
    try:
        return [
            [(str(text), float(sure), float(x), float(y), float(w), float(h)) for text, sure, x, y, w, h in line]
            for line in answer["lines"]
        ]
    except (KeyError, TypeError, ValueError) as error:
        raise NotChecked() from error


def lines_in(table: str) -> list[Line]:
    """Return the lines in Tesseract's output: a table with a row for the page, each block, line and word."""
    lines: dict[tuple[str, ...], list[tuple[str, float, float, float, float, float]]] = {}
    across = down = 1.0
    for row in csv.DictReader(io.StringIO(table), delimiter="\t", quoting=csv.QUOTE_NONE):
        box = [float(row[name]) for name in ("left", "top", "width", "height")]
        if row["level"] == "1":
            across, down = max(box[2], 1.0), max(box[3], 1.0)
        elif row["level"] == "5" and (text := (row["text"] or "").strip()):
            key = tuple(row[name] for name in ("block_num", "par_num", "line_num"))
            place = (box[0] / across, box[1] / down, box[2] / across, box[3] / down)
            lines.setdefault(key, []).append((text, float(row["conf"]) / 100, *place))
    return list(lines.values())
