"""DICOM images: a frame, grey by its tables and a window, or in colour; and what may be told of it, never who it is."""

import logging
from collections.abc import Iterator
from typing import Any, BinaryIO

import gdcm  # noqa: F401  here, while files can still be opened: pydicom asks for its decoders when it needs them
import numpy
import openjpeg  # noqa: F401
import pydicom
import pylibjpeg  # noqa: F401
import rle  # noqa: F401
from numpy.typing import NDArray
from PIL import Image
from pydicom import config
from pydicom.dataset import Dataset
from pydicom.errors import InvalidDicomError
from pydicom.pixels.processing import apply_color_lut
from pydicom.pixels.utils import pixel_array

from medfiles.sandbox.render.base import DAMAGED, Facts, NoSuchPage, Unshowable, encoded, judge_size, shrunk
from medfiles.sandbox.render.grey import Tables, Window
from medfiles.sandbox.render.image import to_srgb
from medfiles.sandbox.render.tags import tags_of

Values = NDArray[Any]
PIXELS = ("PixelData", "FloatPixelData", "DoubleFloatPixelData")
GREY = ("MONOCHROME1", "MONOCHROME2")
MOST_FRAMES = 100_000
MOST_WINDOWS = 12
USUAL = {
    "CT": (
        ("Soft tissue", 40.0, 400.0),
        ("Lung", -600.0, 1500.0),
        ("Bone", 480.0, 2500.0),
        ("Brain", 40.0, 80.0),
    )
}
FULL, LARGEST = "Full range", 1_000_000

config.settings.reading_validation_mode = config.IGNORE
logging.getLogger("pydicom").disabled = True


def look(file: BinaryIO) -> Facts:
    data = opened(file)
    frames = frames_of(data)
    size = shape_of(data, (int(data.Columns), int(data.Rows)))
    drawn(data, 0, None)
    windows = tuple(presets(data)) if photometric(data) in GREY else ()
    return Facts("dicom", frames, *size, windows=windows, tags=tuple(tags_of(data)))


def picture(file: BinaryIO, page: int, width: int, window: Window | None) -> dict[str, Any]:
    data = opened(file)
    if page > frames_of(data):
        raise NoSuchPage
    image = drawn(data, page - 1, window)
    size = shape_of(data, image.size)
    return encoded(shrunk(image if size == image.size else image.resize(size), width))


def opened(file: BinaryIO) -> Dataset:
    try:
        data = pydicom.dcmread(file)
    except InvalidDicomError as error:
        raise Unshowable(DAMAGED) from error
    if not any(name in data for name in PIXELS):
        name = str(getattr(data.get("SOPClassUID"), "name", ""))
        what = f" Its type is “{name}”." if name[:1].isalpha() and "Image" not in name else ""
        raise Unshowable(f"This DICOM file contains no image.{what} Download it to open it on your device.")
    if not data.get("Rows") or not data.get("Columns"):
        raise Unshowable(DAMAGED)
    judge_size(int(data.Columns), int(data.Rows))
    return data


def frames_of(data: Dataset) -> int:
    return min(max(int(data.get("NumberOfFrames") or 1), 1), MOST_FRAMES)


def photometric(data: Dataset) -> str:
    return str(data.get("PhotometricInterpretation") or "MONOCHROME2").strip()


def shape_of(data: Dataset, size: tuple[int, int]) -> tuple[int, int]:
    """With square pixels: ultrasound and old scanners have others."""
    ratio: Any = data.get("PixelAspectRatio") or ()
    if len(ratio) == 2 and all(float(part) > 0 for part in ratio):
        tall = float(ratio[0]) / float(ratio[1])
        return size[0], min(max(round(size[1] * tall), 1), 4 * size[1])
    return size


def drawn(data: Dataset, index: int, window: Window | None) -> Image.Image:
    values, kind = decoded(data, index), photometric(data)
    if kind in GREY:
        shown = Tables(data, index).shown(values, window)
        return Image.fromarray(255 - shown if kind == "MONOCHROME1" else shown)
    if kind == "PALETTE COLOR":
        values = apply_color_lut(values, data)
    if values.shape[2:] not in ((3,), (4,)):
        raise Unshowable(DAMAGED)
    return to_srgb(Image.fromarray(eight_bits(data, values[..., :3])), data.get("ICCProfile"))


def decoded(data: Dataset, index: int) -> Values:
    try:
        return pixel_array(data, index=index)
    except (NotImplementedError, RuntimeError) as error:  # no decoder takes it
        name = str(getattr(data.file_meta.get("TransferSyntaxUID"), "name", "")) or "unknown"
        raise Unshowable(
            f"This DICOM image is damaged, or its compression is not supported ({name}). "
            "Download it to open it on your device."
        ) from error


def eight_bits(data: Dataset, values: Values) -> Values:
    """Deeper colours by their high bits; some tables call themselves deep and are not."""
    if values.dtype == numpy.uint8 or values.max() < 256:
        return values.astype(numpy.uint8)
    depth = 16 if photometric(data) == "PALETTE COLOR" else max(int(data.get("BitsStored") or 16), 8)
    return (values >> (depth - 8)).astype(numpy.uint8)


def presets(data: Dataset) -> Iterator[tuple[str, float, float]]:
    """Windows to choose from; the first is what is shown by itself. Decoding a frame shows that there is one."""
    tables = Tables(data, 0)
    own = [] if data.get("VOILUTSequence") else tables.windows()
    usual = USUAL.get(str(data.get("Modality")), ())
    seen: set[tuple[float, float]] = set()
    for label, center, width in [*own[:MOST_WINDOWS], (FULL, *tables.full(decoded(data, 0))), *usual]:
        center, width = round(center, 3), round(width, 3)
        if 0 < width <= LARGEST and abs(center) <= LARGEST and (center, width) not in seen:
            seen.add((center, width))
            yield label, center, width
