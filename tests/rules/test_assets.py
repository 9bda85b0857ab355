"""The committed bundles are what `make assets` builds from the stylesheets, scripts and icons."""

import gzip
import hashlib
import re
from pathlib import Path

from tests.support.sprite import ICONS, SPRITE, sprite

ROOT = Path(__file__).parents[2]
STATIC = ROOT / "static"
SUMS = STATIC / "dist" / "SHA256SUMS"
PARTS = sorted((STATIC / "css").glob("*.css"))
SCRIPTS = sorted((STATIC / "js").glob("*.js"))
BUNDLES = sorted((*(STATIC / "dist").glob("*.css"), *(STATIC / "dist").glob("*.js")))
ENTRIES = ("medfiles.js", "shared.js", "smart-viewer.js")
NAMING_ICONS = (*(ROOT / "templates").rglob("*.html"), *(ROOT / "medfiles").rglob("*.py"))
LONGEST_LINE, LONGEST_FILE = 120, 300


def test_bundles_match_their_sources() -> None:
    listed = {name: digest for digest, name in (line.split() for line in SUMS.read_text().splitlines())}
    files = [*PARTS, *SCRIPTS, *BUNDLES]
    present = {path.relative_to(STATIC).as_posix(): hashlib.sha256(path.read_bytes()).hexdigest() for path in files}
    assert listed == present, "Run `make assets`."


def test_bundle_imports_every_stylesheet_once() -> None:
    imported = re.findall(r'@import "\./([^"]+)";', (STATIC / "css" / "medfiles.css").read_text())
    assert sorted([*imported, "medfiles.css"]) == [path.name for path in PARTS]


def test_public_names_serve_the_bundles() -> None:
    assert [bundle.name for bundle in BUNDLES] == ["medfiles.css", *ENTRIES]
    for bundle in (*BUNDLES, SPRITE):
        assert (STATIC / bundle.name).read_bytes() == bundle.read_bytes()


def test_sprite_holds_every_icon() -> None:
    assert SPRITE.read_text() == sprite(), "Run `make assets`."


def test_icons_are_those_in_use() -> None:
    words = {word for path in NAMING_ICONS for word in re.findall(r"[\"']([a-z0-9-]+)[\"']", path.read_text())}
    assert [path.name for path in ICONS.glob("*.svg") if path.stem not in words] == []


def test_every_script_is_imported() -> None:
    imported = {name for path in SCRIPTS for name in re.findall(r'(?:from|import) "\./([^"]+)";', path.read_text())}
    assert sorted({*imported, *ENTRIES}) == [path.name for path in SCRIPTS]


WRITTEN = (*PARTS, *SCRIPTS, *sorted((ROOT / "templates").rglob("*.html")))


def test_scripts_stylesheets_and_templates_have_no_long_lines() -> None:
    lines = [(path.name, line) for path in WRITTEN for line in path.read_text().splitlines()]
    assert [(name, line) for name, line in lines if len(line) > LONGEST_LINE] == []


def test_scripts_stylesheets_and_templates_are_short() -> None:
    lengths = {path.name: len(path.read_text().splitlines()) for path in WRITTEN}
    assert {name: length for name, length in lengths.items() if length > LONGEST_FILE} == {}


def test_scripts_are_small_on_the_wire() -> None:
    scripts = (STATIC / "dist" / "medfiles.js", STATIC / "vendor" / "htmx.min.js")
    assert sum(len(gzip.compress(path.read_bytes(), 9)) for path in scripts) <= 60_000


def test_every_styled_class_is_used() -> None:
    """Also by a name that is put together, such as `mf-face-{{ size }}`, or in the page of components."""
    styles = "".join(path.read_text() for path in (STATIC / "css").glob("*.css"))
    styled = set(re.findall(r"\.(mf-[\w-]+)", re.sub(r"/\*.*?\*/", "", styles, flags=re.DOTALL)))
    places = [*(ROOT / "templates").rglob("*.html"), *(STATIC / "js").glob("*.js"), *(ROOT / "medfiles").rglob("*.py")]
    places.append(ROOT / "tests" / "browser" / "components.html")
    used = {word for path in places for word in re.findall(r"mf-[\w-]+", path.read_text())}
    beginnings = tuple(word for word in used if word.endswith("-"))
    assert {name for name in styled - used if not name.startswith(beginnings)} == set()
