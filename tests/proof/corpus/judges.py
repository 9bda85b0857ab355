"""Which files are good, by the judgement of programs that share no code with medfiles."""

import subprocess
import zipfile
from collections.abc import Callable, Mapping
from pathlib import Path

SECONDS = 30
BEGINNINGS: tuple[tuple[int, bytes, str], ...] = (
    (128, b"DICM", "dicom"),
    (0, b"\xff\xd8\xff", "image"),
    (0, b"\x89PNG\r\n\x1a\n", "image"),
    (0, b"GIF8", "image"),
    (0, b"BM", "image"),
    (0, b"II*\0", "image"),
    (0, b"MM\0*", "image"),
    (8, b"WEBP", "image"),
    (4, b"ftyphei", "image"),
    (4, b"ftypmif1", "image"),
    (0, b"PK\3\4", "office"),
)
CONTENT_TYPES = "[content_types].xml"
MAIN_PARTS = (b"wordprocessingml.document.main+xml", b"spreadsheetml.sheet.main+xml")


def family(path: Path) -> str | None:
    """Return the family of formats that a file belongs to. Its name does not matter."""
    head = path.read_bytes()[:1200]
    if b"%PDF-" in head[:1024]:
        return "pdf"
    return next((kind for offset, start, kind in BEGINNINGS if head.startswith(start, offset)), None)


def is_good(path: Path) -> bool:
    """Return whether the program for this family reads the whole file without a complaint."""
    return JUDGES[family(path) or ""](path)


def _says_nothing(*words: str | Path) -> bool:
    try:
        done = subprocess.run(words, capture_output=True, timeout=SECONDS, check=False)
    except subprocess.TimeoutExpired:
        return False
    return done.returncode == 0 and not done.stderr.strip()


def _poppler(path: Path) -> bool:
    return _says_nothing("pdfinfo", path)


def _imagemagick(path: Path) -> bool:
    return _says_nothing("identify", "-regard-warnings", "-format", "%[mean]", f"{path}[0]")


def _dcmtk(path: Path) -> bool:
    return _says_nothing("dcmdump", "--quiet", path)


def _zip(path: Path) -> bool:
    """Return whether each part can be unpacked, and one of them is a document or workbook."""
    try:
        with zipfile.ZipFile(path) as package:
            if package.testzip() is not None:
                return False
            names = {name.replace("\\", "/").lower(): name for name in package.namelist()}
            types = package.read(names[CONTENT_TYPES]) if CONTENT_TYPES in names else b""
            return any(main in types for main in MAIN_PARTS)
    except (zipfile.BadZipFile, NotImplementedError, RuntimeError, EOFError, OSError, ValueError):
        return False


JUDGES: Mapping[str, Callable[[Path], bool]] = {
    "": lambda path: False,
    "pdf": _poppler,
    "image": _imagemagick,
    "dicom": _dcmtk,
    "office": _zip,
}
