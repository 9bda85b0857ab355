"""Read DICOM pixels tolerantly: fill in what a file leaves out, correct what contradicts its bytes, and say so."""

from collections.abc import Iterator
from typing import Any

import numpy
from numpy.typing import NDArray
from pydicom.dataset import Dataset
from pydicom.encaps import parse_fragments
from pydicom.pixels.utils import pixel_array
from pydicom.uid import ExplicitVRBigEndian, ExplicitVRLittleEndian, ImplicitVRLittleEndian

from medfiles.sandbox.render.base import CannotRender, listed

Values = NDArray[Any]
GREY = ("MONOCHROME1", "MONOCHROME2")
COLORED = ("RGB", "YBR_FULL", "YBR_FULL_422", "YBR_PARTIAL_422", "YBR_PARTIAL_420", "YBR_ICT", "YBR_RCT")
HALVED = ("YBR_FULL_422", "YBR_PARTIAL_422")  # two bytes per pixel, if not compressed
RETIRED = ("ARGB", "CMYK", "HSV", "XYB")
FLOATS = ("FloatPixelData", "DoubleFloatPixelData")
MAX_FRAMES = 100_000
GUESSED = "This file leaves out or contradicts how its image is stored ({}). It is shown as far as it could be guessed."
FRAMES = "This file announces {:,} frames but contains {:,}."
EXTRA = "This file contains more image data than it announces. The rest is left out."
SHORT = "The image data ends too soon. The missing part of the image is blank."


def repair(data: Dataset) -> list[str]:
    """Complete the attributes that decoding needs, in place. Return notes for the reader."""
    guesses = [*repair_syntax(data), *repair_colors(data), *repair_bits(data)]
    notes = repair_length(data)
    return ([GUESSED.format(listed(list(dict.fromkeys(guesses))))] if guesses else []) + notes


def repair_syntax(data: Dataset) -> Iterator[str]:
    if "TransferSyntaxUID" not in data.file_meta:
        implicit, little = data.original_encoding
        native = ImplicitVRLittleEndian if implicit else ExplicitVRLittleEndian
        data.file_meta.TransferSyntaxUID = native if little is not False else ExplicitVRBigEndian
        yield "encoding"


def repair_colors(data: Dataset) -> Iterator[str]:
    kind = str(data.get("PhotometricInterpretation") or "").strip().upper()
    if kind in RETIRED:
        raise CannotRender(f"Images in the color model {kind} are not supported. Save it in RGB, or download it.")
    samples = integer(data, "SamplesPerPixel")
    if samples not in (1, 3):
        yield "color"
        samples = 3 if kind in COLORED or not kind and is_native(data) and frame_bytes(data, 3) <= size(data) else 1
    if kind not in (*GREY, *COLORED, "PALETTE COLOR") or (kind in COLORED) != (samples == 3):
        yield "color"
        if kind and samples == 3 and is_native(data) and frame_bytes(data, 3) > size(data):
            samples = 1
        kind = "RGB" if samples == 3 else "MONOCHROME1" if kind == "MONOCHROME1" else "MONOCHROME2"
    if kind == "PALETTE COLOR" and "RedPaletteColorLookupTableDescriptor" not in data:
        yield "palette"
        kind = "MONOCHROME2"
    if is_native(data) and samples == 3:
        frames = max(integer(data, "NumberOfFrames") or 1, 1)
        if kind in HALVED and size(data) >= frames * frame_bytes(data, 3):
            yield "color"
            kind = "YBR_FULL"
        elif kind == "YBR_FULL" and size(data) in halved_sizes(data, frames):
            yield "color"
            kind = "YBR_FULL_422"
    if samples == 3 and integer(data, "PlanarConfiguration") not in (0, 1):
        yield "color order"
        data.PlanarConfiguration = 0
    data.SamplesPerPixel, data.PhotometricInterpretation = samples, kind


def repair_bits(data: Dataset) -> Iterator[str]:
    if any(name in data for name in FLOATS):
        return
    allocated, stored, high = (integer(data, name) for name in ("BitsAllocated", "BitsStored", "HighBit"))
    if allocated not in (1, 8, 16, 32, 64):
        yield "bits per pixel"
        deep = (stored or 8) > 8 or is_native(data) and 2 * frame_bytes(data, int(data.SamplesPerPixel)) <= size(data)
        allocated = 16 if deep else 8
    if not stored or not 0 < stored <= allocated:
        yield "bits per pixel"
        stored = allocated
    if high is None or not stored - 1 <= high < allocated:
        yield "bits per pixel"
        high = stored - 1
    if allocated > 16 and data.file_meta.TransferSyntaxUID == ExplicitVRBigEndian:
        yield "byte order"  # programs disagree on it
    if integer(data, "PixelRepresentation") not in (0, 1):
        yield "sign of the values"
        data.PixelRepresentation = 0
    data.BitsAllocated, data.BitsStored, data.HighBit = allocated, stored, high


def repair_length(data: Dataset) -> list[str]:
    """Set the number of frames to those that are there, and fill up a single short one."""
    known = integer(data, "NumberOfFrames")
    claimed = min(max(known or 1, 1), MAX_FRAMES)
    name = next(name for name in ("PixelData", *FLOATS) if name in data)
    if not is_native(data):
        fragments, _ = parse_fragments(data.PixelData)
        held = fragments or claimed
    else:
        needed = native_frame_bits(data, name)
        held = min(len(data[name].value) * 8 // needed, MAX_FRAMES)
    if held > claimed:
        if known is None and data.get_item("NumberOfFrames"):
            data.NumberOfFrames = held  # what it says is no number
            return [GUESSED.format("number of frames")]
        data.NumberOfFrames = claimed
        return [EXTRA] if is_native(data) else []
    data.NumberOfFrames = max(held, 1)
    if held < 1:
        data[name].value = bytes(data[name].value).ljust(-(-needed // 8), b"\0")
    return [SHORT] if held < 1 else [FRAMES.format(claimed, held)] if held < claimed else []


def native_frame_bits(data: Dataset, name: str) -> int:
    pixels = int(data.Rows) * int(data.Columns)
    if name in FLOATS:
        return pixels * (32 if name == "FloatPixelData" else 64)
    if data.PhotometricInterpretation in HALVED:
        return pixels * 2 * int(data.BitsAllocated)
    return pixels * int(data.SamplesPerPixel) * int(data.BitsAllocated)


def is_native(data: Dataset) -> bool:
    return not data.file_meta.TransferSyntaxUID.is_encapsulated


def size(data: Dataset) -> int:
    return len(data.get("PixelData") or b"")


def frame_bytes(data: Dataset, samples: int) -> int:
    return int(data.Rows) * int(data.Columns) * samples * max(integer(data, "BitsAllocated") or 8, 8) // 8


def halved_sizes(data: Dataset, frames: int) -> tuple[int, int]:
    exact = frames * frame_bytes(data, 2)
    return exact, exact + exact % 2


def integer(data: Dataset, keyword: str) -> int | None:
    """Return the first value of an attribute as an integer, or None if it is missing or no number."""
    values = decimals(data, keyword)
    return int(values[0]) if values else None


def decimals(data: Dataset, keyword: str) -> list[float]:
    """Return the finite numbers of an attribute. Decimal commas count as points."""
    try:
        value: Any = data.get(keyword)
        many = (
            [] if value is None or value == "" else list(value) if not isinstance(value, str | int | float) else [value]
        )
        numbers = [float(one) for one in many if one not in (None, "")]
    except (ValueError, TypeError, ArithmeticError):
        numbers = list(map(float, written_with_commas(data, keyword)))
    return [number for number in numbers if numpy.isfinite(number)]


def has_commas(data: Dataset, keyword: str) -> bool:
    return keyword in data and bool(written_with_commas(data, keyword))


def written_with_commas(data: Dataset, keyword: str) -> list[str]:
    """Return the numbers of an attribute that has decimal commas, with points."""
    item = data.get_item(keyword)
    value = getattr(item, "value", None)
    text = value.decode("latin-1", "replace") if isinstance(value, bytes) else str(value or "")
    parts = [part.strip(" \0") for part in text.split("\\")] if "," in text else []
    numbers = [part.replace(",", ".") for part in parts]
    return [number for number in numbers if is_number(number)]


def is_number(text: str) -> bool:
    try:
        float(text)
    except ValueError:
        return False
    return True


def decode(data: Dataset, index: int) -> Values:
    """Decode a frame. Colors are converted to RGB."""
    try:
        if not is_native(data) or any(name in data for name in FLOATS) or int(data.BitsAllocated) == 1:
            return pixel_array(data, index=index)
        if data.PhotometricInterpretation == "YBR_PARTIAL_422":
            return widen_partial(data, index)
        return used_bits(data, pixel_array(data, index=index, correct_unused_bits=False))
    except (NotImplementedError, RuntimeError) as error:  # no decoder accepts it
        name = str(getattr(data.file_meta.get("TransferSyntaxUID"), "name", "")) or "unknown"
        raise CannotRender(
            f"This DICOM image is damaged, or its compression is not supported ({name}). "
            "Download it to open it on your device."
        ) from error


def widen_partial(data: Dataset, index: int) -> Values:
    """Decode colors that use only 16 to 235 of 256 levels, as in video."""
    data.PhotometricInterpretation = "YBR_FULL_422"
    try:
        values = pixel_array(data, index=index, raw=True).astype(numpy.float32)
    finally:
        data.PhotometricInterpretation = "YBR_PARTIAL_422"
    light, blue, red = (values[..., 0] - 16) * (255 / 219), values[..., 1] - 128, values[..., 2] - 128
    colors = light + 1.596 * red, light - 0.392 * blue - 0.813 * red, light + 2.017 * blue
    rgb: Values = numpy.stack(colors, axis=-1).clip(0, 255).round().astype(numpy.uint8)
    return rgb


def stored_values(data: Dataset, index: int) -> Values | None:
    """Return a frame's values with all their bits, or None if it is compressed or colored."""
    if not is_native(data) or data.SamplesPerPixel != 1 or "PixelData" not in data or int(data.BitsAllocated) == 1:
        return None
    values: Values = pixel_array(data, index=index, correct_unused_bits=False)
    return values.view(f"u{values.dtype.itemsize}")


def used_bits(data: Dataset, values: Values) -> Values:
    """Drop the bits above HighBit and those below the stored ones, and restore the sign."""
    allocated, stored, high = int(data.BitsAllocated), int(data.BitsStored), int(data.HighBit)
    if stored == allocated:
        return values
    above = numpy.uint64(allocated - 1 - high)
    raised = numpy.left_shift(values.view(f"u{values.dtype.itemsize}"), above.astype(f"u{values.dtype.itemsize}"))
    lowered: Values = numpy.right_shift(raised.view(values.dtype), values.dtype.type(allocated - stored))
    return lowered
