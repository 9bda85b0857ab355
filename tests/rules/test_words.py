"""Words that plain English does without are kept out of everything that users and engineers read."""

import ast
import re
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
WHOLE = ("templates", "static")  # every line is checked
LITERALS = ("medfiles",)  # only strings other than docstrings are checked
NOT_YET = ("medfiles/api",)  # their strings are generated descriptions that are being replaced
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
    assert [f"{place}: {word}" for root in WHOLE for place, word in found_in_text(ROOT / root)] == []


def test_no_string_of_the_code_contains_a_ruled_out_word() -> None:
    assert [f"{place}: {word}" for root in LITERALS for place, word in found_in_strings(ROOT / root)] == []


@pytest.mark.parametrize("word", WORST)
def test_each_word_is_found_even_across_lines(word: str) -> None:
    assert FOUND.search(f"It says {word.replace(' ', chr(10) + '  ').capitalize()}.")


def found_in_text(root: Path) -> Iterator[tuple[str, str]]:
    for path in texts(root):
        yield from found(path, path.read_text(), 1)


def found_in_strings(root: Path) -> Iterator[tuple[str, str]]:
    left_out = [ROOT / name for name in NOT_YET]
    for path in sorted(root.rglob("*.py")):
        if any(path.is_relative_to(folder) for folder in left_out):
            continue
        tree = ast.parse(path.read_text())
        docstrings = {id(node.value) for node in ast.walk(tree) if isinstance(node, ast.Expr)}
        for node in ast.walk(tree):
            if isinstance(node, ast.Constant) and isinstance(node.value, str) and id(node) not in docstrings:
                yield from found(path, node.value, node.lineno)


def texts(root: Path) -> Iterator[Path]:
    everything = [root] if root.is_file() else sorted(root.rglob("*"))
    return (path for path in everything if path.suffix in SUFFIXES and "vendor" not in path.parts)


def found(path: Path, text: str, first: int) -> Iterator[tuple[str, str]]:
    for hit in FOUND.finditer(text):
        yield f"{path.relative_to(ROOT)}:{first + text.count(chr(10), 0, hit.start())}", hit[0]
