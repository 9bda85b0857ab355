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

from medfiles.sandbox.dicom import read_dicom
from medfiles.sandbox.render.base import (
    DAMAGED,
    CannotRender,
    NoSuchPage,
    PreviewData,
    check_size,
    encode_webp,
    fit,
    join_notes,
)
from medfiles.sandbox.render.grayscale import GrayscaleTransform, Window, find_dataset
from medfiles.sandbox.render.image import to_srgb
from medfiles.sandbox.render.overlays import draw_overlays
from medfiles.sandbox.render.pixels import GREY, decimals, decode, repair
from medfiles.sandbox.render.spec import THUMBNAIL
from medfiles.sandbox.render.tags import tags_of

Values = NDArray[Any]
PIXELS = ("PixelData", "FloatPixelData", "DoubleFloatPixelData")
SHAPES = ("ImagerPixelSpacing", "NominalScannedPixelSpacing", "PixelAspectRatio")  # height, then width
MOST_OBLONG, LONGEST_SIDE = 20, 16_000
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
FEW_PIXELS = 90_000  # of an image that is compressed without loss, because its details are few pixels wide

config.settings.reading_validation_mode = config.IGNORE
logging.getLogger("pydicom").disabled = True


def describe(file: BinaryIO) -> PreviewData:
    data, notes = open_dicom(file)
    frames = int(data.NumberOfFrames)
    size = square_pixel_size(data, 0, (int(data.Columns), int(data.Rows)))
    _, more = render(data, 0, None)
    windows = tuple(window_presets(data)) if photometric(data) in GREY else ()
    note = join_notes(*notes, *more)
    return PreviewData("dicom", frames, *size, windows=windows, tags=tuple(tags_of(data)), note=note)


def picture(file: BinaryIO, page: int, width: int, window: Window | None) -> dict[str, Any]:
    data, notes = open_dicom(file)
    if page > data.NumberOfFrames:
        raise NoSuchPage
    image, more = render(data, page - 1, window)
    size = square_pixel_size(data, page - 1, image.size)
    shown = fit(image if size == image.size else image.resize(size), width)
    exact = width > THUMBNAIL and image.width * image.height <= FEW_PIXELS
    return encode_webp(shown, join_notes(*notes, *more), exact=exact)


def open_dicom(file: BinaryIO) -> tuple[Dataset, list[str]]:
    """Return the data set, completed for decoding, and notes for the reader."""
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
    return data, repair(data)


def photometric(data: Dataset) -> str:
    return str(data.PhotometricInterpretation)


def square_pixel_size(data: Dataset, index: int, size: tuple[int, int]) -> tuple[int, int]:
    """Return the size in square pixels. Some scanners, X-ray detectors and ultrasound devices have oblong ones."""
    tall = pixel_height(data, index)
    if tall >= 1:
        return size[0], min(round(size[1] * tall), LONGEST_SIDE)
    return min(round(size[0] / tall), LONGEST_SIDE), size[1]


def pixel_height(data: Dataset, index: int) -> float:
    """Return the height of a pixel in multiples of its width."""
    measures = find_dataset(data, index, "PixelMeasuresSequence", "PixelSpacing")
    for source, name in ((measures, "PixelSpacing"), *((data, name) for name in SHAPES)):
        height, width = (decimals(source, name) + [0, 0])[:2]
        if height > 0 and width > 0 and 1 / MOST_OBLONG <= height / width <= MOST_OBLONG:
            return height / width
    return 1.0


def render(data: Dataset, index: int, window: Window | None) -> tuple[Image.Image, list[str | None]]:
    """Return the frame with its overlays, and notes for the reader."""
    values, kind = decode(data, index), photometric(data)
    if kind in GREY:
        transform = GrayscaleTransform(data, index)
        grey = transform.to_grayscale(values, window)
        grey = 255 - grey if kind == "MONOCHROME1" else grey
        note = draw_overlays(data, index, grey)
        return Image.fromarray(grey), [*transform.notes, note]
    if kind == "PALETTE COLOR":
        values = apply_color_lut(values, data)
    if values.shape[2:] not in ((3,), (4,)):
        raise CannotRender(DAMAGED)
    colors = numpy.ascontiguousarray(eight_bits(data, values[..., :3]))
    note = draw_overlays(data, index, colors)
    return to_srgb(Image.fromarray(colors), data.get("ICCProfile")), [note]


def eight_bits(data: Dataset, values: Values) -> Values:
    """Reduce deeper colors to their high 8 bits. Some palettes claim 16 bits but use 8."""
    if values.dtype == numpy.uint8 or values.max() < 256:
        return values.astype(numpy.uint8)
    depth = 16 if photometric(data) == "PALETTE COLOR" else max(int(data.get("BitsStored") or 16), 8)
    return (values >> (depth - 8)).astype(numpy.uint8)


def window_presets(data: Dataset) -> Iterator[tuple[str, float, float]]:
    """Yield window presets as (label, center, width), the default first."""
    transform = GrayscaleTransform(data, 0)
    own = transform.windows()
    standard = STANDARD_WINDOWS.get(str(data.get("Modality")), ())
    seen: set[tuple[float, float]] = set()
    for label, center, width in [*own[:MAX_WINDOWS], (FULL, *transform.full_range(decode(data, 0))), *standard]:
        center, width = round(center, 3), round(width, 3)
        if 0 < width <= LARGEST and abs(center) <= LARGEST and (center, width) not in seen:
            seen.add((center, width))
            yield label, center, width
