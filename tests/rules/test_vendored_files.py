"""Vendored files are the exact copies that static/vendor/SHA256SUMS names, and there are no others."""

import hashlib
from pathlib import Path

VENDOR = Path(__file__).parents[2] / "static" / "vendor"
ICONS = VENDOR.parent / "icons"
SUMS = VENDOR / "SHA256SUMS"


def listed() -> dict[Path, str]:
    lines = (line.split(maxsplit=1) for line in SUMS.read_text().splitlines())
    return {(VENDOR / name).resolve(): digest for digest, name in lines}


def present() -> dict[Path, str]:
    files = (path.resolve() for folder in (VENDOR, ICONS) for path in folder.rglob("*") if path.is_file())
    return {path: hashlib.sha256(path.read_bytes()).hexdigest() for path in files if path != SUMS.resolve()}


def test_every_listed_file_is_there_unaltered() -> None:
    there = present()
    assert listed()
    assert {path for path, digest in listed().items() if there.get(path) != digest} == set()


def test_every_vendored_file_is_listed() -> None:
    assert present().keys() - listed().keys() == set()
