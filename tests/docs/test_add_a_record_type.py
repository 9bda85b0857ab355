"""docs/add-a-record-type.md, followed literally in a copy of the checkout: then the new type works in every respect."""

import os
import re
import shutil
import subprocess
import sys
from collections.abc import Iterator, Mapping
from pathlib import Path

import pytest

from tests.docs.pages import DOCS, ROOT, Block, blocks

GUIDE = DOCS / "add-a-record-type.md"
COPIED = ("medfiles", "migrations", "static", "templates", "tests", "pyproject.toml", "setup.cfg", "wsgi.py")
TYPED_NUMBER = "0018"  # the guide's example; readers type the number after the last migration
LAST = "RECORD_TYPES = ("  # the guide adds an entry above this
FLASK = f'flask() {{ "{sys.executable}" -m flask --app wsgi "$@"; }}'
SECONDS = 600


@pytest.fixture(scope="module")
def checkout(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A copy of the checkout in which the guide was followed from beginning to end."""
    place = tmp_path_factory.mktemp("checkout")
    for name in COPIED:
        if (ROOT / name).is_dir():
            shutil.copytree(ROOT / name, place / name, symlinks=True, ignore=shutil.ignore_patterns("__pycache__"))
        else:
            shutil.copy(ROOT / name, place)
    number = f"{1 + max(int(path.name[:4]) for path in (place / 'migrations' / 'versions').glob('0*.py')):04}"
    for block in blocks(GUIDE):
        follow(block, place, number)
    return place


def follow(block: Block, place: Path, number: str) -> None:
    if block.language == "sh":
        run(["bash", "-e", "-u", "-o", "pipefail", "-c", f"{FLASK}\n{block.text.replace(TYPED_NUMBER, number)}"], place)
    elif block.language == "python":
        name, _, code = block.text.removeprefix("# ").partition("\n")
        above, found, below = (place / name).read_text().partition(LAST)
        (place / name).write_text(f"{above}{code}\n{found}{below}" if found else f"{above}\n\n{code}")
    elif block.language == "diff":
        name, _, lines = block.text.removeprefix("--- ").partition("\n")
        old, new = (
            "".join(line[1:] for line in lines.splitlines(keepends=True) if line[0] in signs) for signs in (" -", " +")
        )
        text = (place / name).read_text()
        assert text.count(old) == 1, f"{name} must contain exactly once:\n{old}"
        (place / name).write_text(text.replace(old, new))


def run(command: list[str], place: Path) -> str:
    done = subprocess.run(
        command, cwd=place, env=environment(place), capture_output=True, text=True, timeout=SECONDS, check=False
    )
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


def environment(place: Path) -> Mapping[str, str]:
    clean = {name: value for name, value in os.environ.items() if not name.startswith(("MEDFILES_", "PYTEST_"))}
    return clean | {"MEDFILES_OCR": "off", "MEDFILES_INSTANCE": str(place / "instance")}


def edits() -> Iterator[str]:
    for block in blocks(GUIDE):
        if block.language in ("python", "diff"):
            yield block.text.partition("\n")[0].lstrip("#- ")


def test_the_guide_edits_the_models_and_the_record_types_only() -> None:
    assert set(edits()) == {
        "medfiles/models/__init__.py",
        "medfiles/models/records.py",
        "medfiles/record_types/declared.py",
    }


def test_the_migration_has_the_next_number_and_is_applied(checkout: Path) -> None:
    [migration] = (checkout / "migrations" / "versions").glob("*_immunizations.py")
    number = migration.name[:4]
    assert re.search(rf'^down_revision = "?\'?{int(number) - 1:04}', migration.read_text(), re.MULTILINE)
    assert number in run([sys.executable, "-m", "flask", "--app", "wsgi", "db", "current"], checkout)


def test_the_edited_files_pass_the_linter(checkout: Path) -> None:
    names = sorted(set(edits()))
    run([sys.executable, "-m", "ruff", "check", "--no-cache", *names], checkout)
    run([sys.executable, "-m", "ruff", "format", "--check", "--no-cache", *names], checkout)


def test_pages_uploads_trash_activity_and_api_of_the_new_type_work(checkout: Path) -> None:
    tests = ["tests/record_types/test_lifecycle.py", "-k", "immunization"]
    said = run([sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", "-n0", *tests], checkout)
    passed = re.search(r"(\d+) passed", said)
    assert passed, said
    assert int(passed[1]) > 10
