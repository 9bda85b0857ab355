"""Render DICOM frames in grayscale or color, and report tags that identify no one."""

import logging
from collections.abc import Iterator
from typing import Any, BinaryIO

import gdcm  # noqa: F401  pydicom imports its decoders on demand, when the sandbox no longer allows it
import numpy
import openjpeg  # noqa: F401
import pylibjpeg  # noqa: F401
import rle  # noqa: F401
from numpy.typing import NDArray
from PIL import Image
from pydicom import config
from pydicom.dataset import Dataset
from pydicom.errors import InvalidDicomError
from pydicom.pixels.processing import apply_color_lut
from pydicom.pixels.utils import pixel_array

from medfiles.sandbox.dicom import read_dicom
from medfiles.sandbox.render.base import DAMAGED, CannotRender, NoSuchPage, PreviewData, check_size, encode_webp, fit
from medfiles.sandbox.render.grayscale import GrayscaleTransform, Window
from medfiles.sandbox.render.image import to_srgb
from medfiles.sandbox.render.tags import tags_of

Values = NDArray[Any]
PIXELS = ("PixelData", "FloatPixelData", "DoubleFloatPixelData")
GREY = ("MONOCHROME1", "MONOCHROME2")
MAX_FRAMES = 100_000
MAX_WINDOWS = 12
STANDARD_WINDOWS = {
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


def describe(file: BinaryIO) -> PreviewData:
    data = open_dicom(file)
    frames = frame_count(data)
    size = square_pixel_size(data, (int(data.Columns), int(data.Rows)))
    render(data, 0, None)
    windows = tuple(window_presets(data)) if photometric(data) in GREY else ()
    return PreviewData("dicom", frames, *size, windows=windows, tags=tuple(tags_of(data)))


def picture(file: BinaryIO, page: int, width: int, window: Window | None) -> dict[str, Any]:
    data = open_dicom(file)
    if page > frame_count(data):
        raise NoSuchPage
    image = render(data, page - 1, window)
    size = square_pixel_size(data, image.size)
    return encode_webp(fit(image if size == image.size else image.resize(size), width))


def open_dicom(file: BinaryIO) -> Dataset:
    try:
        data = read_dicom(file)
    except InvalidDicomError as error:
        raise CannotRender(DAMAGED) from error
    if not any(name in data for name in PIXELS):
        name = str(getattr(data.get("SOPClassUID"), "name", ""))
        what = f" Its type is “{name}”." if name[:1].isalpha() and "Image" not in name else ""
        raise CannotRender(f"This DICOM file contains no image.{what} Download it to open it on your device.")
    if not data.get("Rows") or not data.get("Columns"):
        raise CannotRender(DAMAGED)
    check_size(int(data.Columns), int(data.Rows))
    return data


def frame_count(data: Dataset) -> int:
    return min(max(int(data.get("NumberOfFrames") or 1), 1), MAX_FRAMES)


def photometric(data: Dataset) -> str:
    return str(data.get("PhotometricInterpretation") or "MONOCHROME2").strip()


def square_pixel_size(data: Dataset, size: tuple[int, int]) -> tuple[int, int]:
    """Return the size in square pixels. Images from ultrasound or old scanners may have non-square ones."""
    ratio: Any = data.get("PixelAspectRatio") or ()
    if len(ratio) == 2 and all(float(part) > 0 for part in ratio):
        tall = float(ratio[0]) / float(ratio[1])
        return size[0], min(max(round(size[1] * tall), 1), 4 * size[1])
    return size


def render(data: Dataset, index: int, window: Window | None) -> Image.Image:
    values, kind = decode(data, index), photometric(data)
    if kind in GREY:
        shown = GrayscaleTransform(data, index).to_grayscale(values, window)
        return Image.fromarray(255 - shown if kind == "MONOCHROME1" else shown)
    if kind == "PALETTE COLOR":
        values = apply_color_lut(values, data)
    if values.shape[2:] not in ((3,), (4,)):
        raise CannotRender(DAMAGED)
    return to_srgb(Image.fromarray(eight_bits(data, values[..., :3])), data.get("ICCProfile"))


def decode(data: Dataset, index: int) -> Values:
    try:
        return pixel_array(data, index=index)
    except (NotImplementedError, RuntimeError) as error:  # no decoder accepts it
        name = str(getattr(data.file_meta.get("TransferSyntaxUID"), "name", "")) or "unknown"
        raise CannotRender(
            f"This DICOM image is damaged, or its compression is not supported ({name}). "
            "Download it to open it on your device."
        ) from error


def eight_bits(data: Dataset, values: Values) -> Values:
    """Reduce deeper colors to their high 8 bits. Some palettes claim 16 bits but use 8."""
    if values.dtype == numpy.uint8 or values.max() < 256:
        return values.astype(numpy.uint8)
    depth = 16 if photometric(data) == "PALETTE COLOR" else max(int(data.get("BitsStored") or 16), 8)
    return (values >> (depth - 8)).astype(numpy.uint8)


def window_presets(data: Dataset) -> Iterator[tuple[str, float, float]]:
    """Yield window presets as (label, center, width), the default first."""
    transform = GrayscaleTransform(data, 0)
    own = [] if data.get("VOILUTSequence") else transform.windows()
    standard = STANDARD_WINDOWS.get(str(data.get("Modality")), ())
    seen: set[tuple[float, float]] = set()
    for label, center, width in [*own[:MAX_WINDOWS], (FULL, *transform.full_range(decode(data, 0))), *standard]:
        center, width = round(center, 3), round(width, 3)
        if 0 < width <= LARGEST and abs(center) <= LARGEST and (center, width) not in seen:
            seen.add((center, width))
            yield label, center, width
