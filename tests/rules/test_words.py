"""Words that plain English does without are kept out of everything that users and engineers read."""

import re
from collections.abc import Iterator
from pathlib import Path

ROOT = Path(__file__).parents[2]
ROOTS = ("medfiles", "templates", "static", "docs", "README.md", "CHANGELOG.md", "CONTRIBUTING.md", "SECURITY.md")
SUFFIXES = {".html", ".js", ".css", ".md", ".py"}
WORST = (
    "whoever",
    "whatever",
    "nobody",
    "somebody",
    "those who",
    "what is done",
    "for ever",
    "anew",
    "meanwhile",
    "by itself",
    "comes to its end",
    "is no business of",
    "goes on",
    "lies there",
    "stands in",
)
FOUND = re.compile(rf"\b({'|'.join(word.replace(' ', chr(92) + 's+') for word in WORST)})\b", re.IGNORECASE)


def test_no_text_contains_a_ruled_out_word() -> None:
    assert [f"{place}: {word}" for root in ROOTS for place, word in found_in_text(ROOT / root)] == []


def test_each_word_is_found_even_across_lines() -> None:
    assert [word for word in WORST if not FOUND.search(f"It says {word.replace(' ', chr(10)).capitalize()}.")] == []


def found_in_text(root: Path) -> Iterator[tuple[str, str]]:
    for path in texts(root):
        yield from found(path, path.read_text(), 1)


def texts(root: Path) -> Iterator[Path]:
    everything = [root] if root.is_file() else sorted(root.rglob("*"))
    return (path for path in everything if path.suffix in SUFFIXES and "vendor" not in path.parts)


def found(path: Path, text: str, first: int) -> Iterator[tuple[str, str]]:
    for hit in FOUND.finditer(text):
        yield f"{path.relative_to(ROOT)}:{first + text.count(chr(10), 0, hit.start())}", hit[0]
