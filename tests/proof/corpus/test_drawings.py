"""Pictures are those that independent programs draw, or say what they leave out."""

from collections.abc import Callable
from io import BytesIO
from pathlib import Path

import pydicom.data
import pytest
from PIL import Image

from medfiles.sandbox.pool import Sandbox
from tests.proof.corpus import drawings
from tests.proof.corpus.sources import papers, some
from tests.support import samples, tools

SHIPPED = Path(pydicom.data.__file__).parent / "test_files"
SUFFIXES = {".pdf": drawings.PDF, ".png": "image/png", ".jpg": "image/jpeg", ".bmp": "image/bmp", ".gif": "image/gif"}

# Files that the judge draws otherwise, and why the product is right
EXPLAINED = {
    "badrle.bmp": "its compressed data is damaged, and what follows is undefined",
    "g4-fillorder-test.png": "ImageMagick draws it blank",
    "pal1bg.bmp": "the same picture in slightly different colors",
    "pal1bg.png": "the same picture in slightly different colors",
    "pal8badindex.bmp": "its colors are beyond its palette",
    "pal8os2v2.bmp": "ImageMagick mixes up its colors",
    "rgb32fakealpha.bmp": "ImageMagick takes unused bytes for transparency",
    "xmp_tags_orientation.png": "ImageMagick does not know that it is upside down",
}


def dicom_files() -> list[Path]:
    return [path for path in sorted(SHIPPED.rglob("*.dcm")) if path.read_bytes()[128:132] == b"DICM"]


@pytest.mark.parametrize("path", dicom_files(), ids=lambda path: path.name)
def test_dicom_images_are_drawn_as_dcmtk_draws_them(renderers: Sandbox, path: Path) -> None:
    tools.need("dcmtk")
    assert drawings.difference(renderers, path, drawings.DICOM) is None


def test_a_different_drawing_is_found(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, renderers: Sandbox) -> None:
    path = tmp_path / "photo.png"
    path.write_bytes(samples.png(64, 64))
    upside_down = Image.open(BytesIO(samples.png(64, 64))).transpose(Image.Transpose.ROTATE_90)
    monkeypatch.setitem(drawings.JUDGES, "image", lambda path: iter([upside_down]))
    assert "correlation" in str(drawings.difference(renderers, path, "image/png"))
    same = Image.open(BytesIO(samples.png(64, 64)))
    monkeypatch.setitem(drawings.JUDGES, "image", lambda path: iter([same]))
    assert drawings.difference(renderers, path, "image/png") is None


def test_collected_files_are_drawn_as_others_draw_them(
    renderers: Sandbox, share: int, record_property: Callable[[str, object], None]
) -> None:
    tools.need("poppler")
    tools.need("imagemagick")
    tried = some("drawings", [path for path in papers() if path.suffix.lower() in SUFFIXES], share)
    record_property("inputs", len(tried))
    found = {path.name: drawings.difference(renderers, path, SUFFIXES[path.suffix.lower()]) for path in tried}
    different = {name: words for name, words in found.items() if words and name not in EXPLAINED}
    assert not different, f"{len(different)} of {len(tried)} pages drawn differently: {different}"
