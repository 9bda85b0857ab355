"""Imports go downwards only, and only the database module commits."""

import re
from pathlib import Path

import pytest
from importlinter.cli import EXIT_STATUS_SUCCESS, lint_imports

ROOT = Path(__file__).parents[2]


def test_every_import_contract_of_setup_cfg_holds(capsys: pytest.CaptureFixture[str]) -> None:
    status = lint_imports(config_filename=str(ROOT / "setup.cfg"), no_cache=True, no_logo=True)
    said = capsys.readouterr().out
    assert status == EXIT_STATUS_SUCCESS, said
    assert "Imports go downwards only" in said


def test_only_the_transaction_commits() -> None:
    committing = {
        path.relative_to(ROOT).as_posix()
        for path in (ROOT / "medfiles").rglob("*.py")
        if re.search(r"\.commit\(\)", path.read_text())
    }
    assert committing == {"medfiles/db.py"}
