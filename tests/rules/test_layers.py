"""Imports go downwards only, and only the database module commits."""

import re
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).parents[2]


def test_every_import_contract_of_setup_cfg_holds() -> None:
    """In a process of its own: import-linter sets up logging anew, which would silence every logger here."""
    command = [str(Path(sys.executable).with_name("lint-imports")), "--no-cache"]
    ran = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)
    assert ran.returncode == 0, ran.stdout
    assert "Imports go downwards only" in ran.stdout


def test_only_the_transaction_commits() -> None:
    committing = {
        path.relative_to(ROOT).as_posix()
        for path in (ROOT / "medfiles").rglob("*.py")
        if re.search(r"\.commit\(\)", path.read_text())
    }
    assert committing == {"medfiles/database/session.py"}
