"""What the documentation names is there: links, headings, files, modules, commands with their options, make targets."""

import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import click
import pytest
from flask import Flask

from medfiles.app import create_app
from tests.docs.pages import FENCE, PAGES, ROOT, blocks

LINK = re.compile(r"\]\(([^)\s]+)\)")
COMMAND = re.compile(r"(?:flask|flask --app wsgi) (medfiles [a-z][\w -]*)")
CODE = re.compile(r"`([^`\n]+)`")
TOP = ("medfiles", "tests", "docs", "deploy", "bench", "static", "templates", "migrations", "requirements")


@pytest.fixture(scope="module")
def commands(tmp_path_factory: pytest.TempPathFactory) -> Flask:
    return create_app({"MEDFILES_INSTANCE": str(tmp_path_factory.mktemp("instance"))})


def anchor(heading: str) -> str:
    """The fragment that GitHub makes of a heading."""
    words = re.sub(r"[^\w\- ]", "", heading.replace("`", "").lower())
    return words.replace(" ", "-")


def headings(page: Path) -> set[str]:
    return {anchor(found) for found in re.findall(r"^#+ (.+)$", FENCE.sub("", page.read_text()), re.MULTILINE)}


def named_files(page: Path) -> Iterator[str]:
    """Paths in inline code that are below a folder of the checkout, or name a Python file in one."""
    for code in CODE.findall(FENCE.sub("", page.read_text())):
        if re.fullmatch(rf"(?:(?:{'|'.join(TOP)})/[\w./@-]*|[\w/]+/\w+\.py)", code):
            yield code


def exists(name: str) -> bool:
    return any((ROOT / folder / name).exists() for folder in (".", "medfiles", "tests"))


def test_every_link_leads_to_a_file_and_a_heading() -> None:
    broken = []
    for page in PAGES:
        for target in LINK.findall(page.read_text()):
            name, _, heading = target.partition("#")
            if "://" in name:
                continue
            file = (page.parent / name).resolve() if name else page
            if not file.exists() or (heading and heading not in headings(file)):
                broken.append((page.name, target))
    assert broken == []


def test_every_page_is_linked_from_another() -> None:
    linked = {
        (page.parent / target.partition("#")[0]).resolve()
        for page in PAGES
        for target in LINK.findall(page.read_text())
    }
    assert [page.name for page in PAGES if page not in linked and page.parent != ROOT] == []


def test_every_named_file_exists() -> None:
    missing = [(page.name, name) for page in PAGES for name in named_files(page) if not exists(name)]
    assert [found for found in missing if not found[1].endswith("_immunizations.py")] == []


def test_every_command_exists_with_its_options(commands: Flask) -> None:
    wrong = []
    for page in PAGES:
        for words in COMMAND.findall(page.read_text()):
            command, options = lookup(commands, words.split())
            unknown = [word for word in options if word.startswith("--")]
            if not command or unknown:
                wrong.append((page.name, words))
    assert wrong == []


def lookup(app: Flask, words: list[str]) -> tuple[Any, list[str]]:
    """The command that the words begin with, and those of its options that it does not know."""
    command: Any = app.cli
    rest = list(words)
    while rest and isinstance(command, click.Group):
        command = command.get_command(click.Context(command), rest.pop(0))
    if isinstance(command, click.Group | None):
        return command, []
    known = {option for parameter in command.params for option in parameter.opts} | {"--help"}
    return command, [word for word in rest if word.startswith("--") and word not in known]


def test_every_make_target_exists() -> None:
    rules = re.findall(r"^([a-z][\w%-]*):", (ROOT / "Makefile").read_text(), re.MULTILINE)
    code = [text for page in PAGES for text in (*CODE.findall(page.read_text()), *(b.text for b in blocks(page)))]
    targets = set(re.findall(r"(?<![\w-])make ([a-z][a-z-]+)\b", "\n".join(code)))
    assert {"run", "test", "proof"} <= targets
    unknown = [name for name in targets if not any(re.fullmatch(rule.replace("%", r"\w+"), name) for rule in rules)]
    assert unknown == []
