"""The committed bundle is what `make assets` builds from the stylesheets."""

import hashlib
import re
from pathlib import Path

STATIC = Path(__file__).parents[2] / "static"
SUMS = STATIC / "dist" / "SHA256SUMS"
PARTS = sorted((STATIC / "css").glob("*.css"))
LONGEST_LINE = 120


def test_bundle_matches_its_sources() -> None:
    listed = {name: digest for digest, name in (line.split() for line in SUMS.read_text().splitlines())}
    files = [*PARTS, *(STATIC / "dist").glob("*.css")]
    present = {path.relative_to(STATIC).as_posix(): hashlib.sha256(path.read_bytes()).hexdigest() for path in files}
    assert listed == present, "Run `make assets`."


def test_bundle_imports_every_stylesheet_once() -> None:
    imported = re.findall(r'@import "\./([^"]+)";', (STATIC / "css" / "medfiles.css").read_text())
    assert sorted([*imported, "medfiles.css"]) == [path.name for path in PARTS]


def test_public_name_serves_the_bundle() -> None:
    assert (STATIC / "medfiles.css").read_bytes() == (STATIC / "dist" / "medfiles.css").read_bytes()


def test_stylesheets_have_no_long_lines() -> None:
    lines = [(path.name, line) for path in PARTS for line in path.read_text().splitlines()]
    assert [(name, line) for name, line in lines if len(line) > LONGEST_LINE] == []
