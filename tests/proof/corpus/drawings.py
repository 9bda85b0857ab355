"""Compares pictures with those of independent programs: dcmtk for DICOM, poppler for PDF, ImageMagick for images.

Two pictures agree if their greys correlate, or if the preview has a note that says what it leaves out.
"""

import base64
import subprocess
import warnings
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from io import BytesIO
from pathlib import Path
from tempfile import TemporaryDirectory

import numpy
import pydicom
from numpy.typing import NDArray
from PIL import Image

from medfiles.sandbox.pool import NotChecked, Sandbox

CORRELATED = 0.98
ALIKE = 2.0  # levels of grey: the mean difference of two pictures that are nearly of one color
TINY = 16  # pixels: smaller pictures are all edges
WIDTH, SECONDS = 960, 60
BLURRED = (48, 48)  # pages and photos are compared at this size: fonts, edges and lossy colors differ by program
INK = 0.9  # how far pictures that are compared blurred have to correlate
JPEG, JPEG_LS = (
    ("1.2.840.10008.1.2.4.5", "1.2.840.10008.1.2.4.70"),
    ("1.2.840.10008.1.2.4.80", "1.2.840.10008.1.2.4.81"),
)
DICOM, PDF = "application/dicom", "application/pdf"
Values = NDArray[numpy.float64]


class NotJudged(Exception):
    """The independent program does not read the file."""


@dataclass(frozen=True)
class Drawing:
    """What the product shows of a file's first page: a picture with its note, or the reason for none."""

    picture: Image.Image | None
    note: str | None
    windows: int = 0


def drawing(sandbox: Sandbox, path: Path, media_type: str) -> Drawing:
    try:
        facts = sandbox.run("look", file=path, media_type=media_type)
        if facts["kind"] == "none":
            return Drawing(None, facts["reason"])
        answer = sandbox.run("picture", file=path, media_type=media_type, page=1, width=WIDTH)
    except NotChecked as error:
        return Drawing(None, error.message)
    note = facts["note"] or answer.get("note")
    if "webp" not in answer:
        return Drawing(None, answer.get("reason") or note)
    image = Image.open(BytesIO(base64.b64decode(answer["webp"])), formats=["WEBP"])
    return Drawing(image.convert("RGB"), note, len(facts["windows"]))


def difference(sandbox: Sandbox, path: Path, media_type: str) -> str | None:
    """Return how the product's picture differs from the judge's, or None if it does not, or says so."""
    shown = drawing(sandbox, path, media_type)
    if shown.note or shown.picture is None or min(shown.picture.size) < TINY:
        return None if shown.note or shown.picture else "neither a picture nor a reason"
    try:
        judged = [*JUDGES[media_type.partition("/")[0] if media_type not in JUDGES else media_type](path)]
    except NotJudged:
        return None
    blurred = media_type != DICOM
    found = max(likeness(shown.picture, other, blurred=blurred) for other in judged)
    return None if found >= (INK if blurred else CORRELATED) else f"correlation {found:.3f}"


def likeness(one: Image.Image, other: Image.Image, *, blurred: bool = False) -> float:
    """Return the correlation of two pictures; 1 if both are nearly of the same color."""
    size = BLURRED if blurred else other.size if other.width < one.width else one.size
    mine, its = (values(picture, size) for picture in (one, other))
    if abs(mine - its).mean() < ALIKE:
        return 1.0
    if mine.std() < 1e-6 or its.std() < 1e-6:
        return 0.0
    return float(numpy.corrcoef(mine, its)[0, 1])


def values(picture: Image.Image, size: tuple[int, int]) -> Values:
    plain = picture.convert("RGB")
    fitted = plain if plain.size == size else plain.resize(size, Image.Resampling.BOX)
    return numpy.asarray(fitted, numpy.float64).ravel()


def draw_dicom(path: Path) -> Iterator[Image.Image]:
    """Draw the first frame with each of the VOI transformations that the product may have chosen."""
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", "Expected explicit VR", UserWarning)
        meta = pydicom.dcmread(path, stop_before_pixels=True, force=True).file_meta
    syntax = str(meta.get("TransferSyntaxUID", ""))
    program = "dcmj2pnm" if syntax.startswith(JPEG) else "dcml2pnm" if syntax in JPEG_LS else "dcm2pnm"
    drawn = False
    for options in (("+Wl", "1"), ("+Wi", "1"), ("+Wm",), ()):
        words = (program, "-q", *options, str(path))
        for picture in run(words):
            drawn = True
            yield picture
    if not drawn:
        raise NotJudged(path.name)


def draw_pdf(path: Path) -> Iterator[Image.Image]:
    yield from found(run(("pdftoppm", "-q", "-l", "1", "-scale-to", "960", str(path), "-singlefile"), stem=True), path)


def draw_image(path: Path) -> Iterator[Image.Image]:
    flatten = ("-auto-orient", "-background", "white", "-flatten", "-colorspace", "sRGB", "-depth", "8")
    yield from found(run(("/usr/bin/convert", f"{path}[0]", *flatten)), path)


def found(pictures: Sequence[Image.Image], path: Path) -> Sequence[Image.Image]:
    if not pictures:
        raise NotJudged(path.name)
    return pictures


def run(words: Sequence[str], *, stem: bool = False) -> list[Image.Image]:
    """Return the picture that a program writes, if any. Its last word is the file to write, or that without `.ppm`."""
    with TemporaryDirectory() as folder:
        out = Path(folder) / "out.ppm"
        try:
            target = out.with_suffix("") if stem else out
            subprocess.run([*words, str(target)], capture_output=True, check=False, timeout=SECONDS)
        except subprocess.TimeoutExpired:
            return []
        if not out.exists():
            return []
        with Image.open(out) as picture:
            picture.load()
            return [picture.copy()]


JUDGES: dict[str, Callable[[Path], Iterator[Image.Image]]] = {DICOM: draw_dicom, PDF: draw_pdf, "image": draw_image}
