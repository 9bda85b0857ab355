"""Draw the overlays of DICOM images: one-bit layers in groups 60xx, such as marks and labels."""

from typing import Any

import numpy
from numpy.typing import NDArray
from pydicom.dataset import Dataset

from medfiles.sandbox.render.pixels import stored_values

Values = NDArray[Any]
GROUPS = range(0x6000, 0x6020, 2)
ROWS, COLUMNS, FRAMES, ORIGIN, FIRST, BITS, POSITION, CONTENT = (
    0x10, 0x11, 0x15, 0x50, 0x51, 0x100, 0x102, 0x3000,
)  # fmt: skip
LEFT_OUT = "An overlay of this image is left out, because it cannot be read."


def draw_overlays(data: Dataset, index: int, shown: Values) -> str | None:
    """Draw the overlays in white on this frame, in place. Return a note if one cannot be read."""
    note = None
    for group in GROUPS:
        if any((group, element) in data for element in (ROWS, CONTENT)):
            try:
                draw(read_overlay(data, group, index), data, group, shown)
            except (KeyError, ValueError, TypeError, IndexError, AttributeError):
                note = LEFT_OUT
    return note


def draw(layer: Values | None, data: Dataset, group: int, shown: Values) -> None:
    if layer is None:
        return
    top, left = (int(value) - 1 for value in (value_of(data, group, ORIGIN) or (1, 1)))
    height, width = shown.shape[:2]
    part = layer[max(-top, 0) : max(height - top, 0), max(-left, 0) : max(width - left, 0)]
    place = shown[max(top, 0) : max(top, 0) + part.shape[0], max(left, 0) : max(left, 0) + part.shape[1]]
    place[part.astype(bool)] = 255


def read_overlay(data: Dataset, group: int, index: int) -> Values | None:
    """Return the layer for this frame, or None if it has none."""
    if (group, CONTENT) not in data:
        return embedded(data, group, index)
    rows, columns = int(value_of(data, group, ROWS)), int(value_of(data, group, COLUMNS))
    frames, first = int(value_of(data, group, FRAMES) or 1), int(value_of(data, group, FIRST) or 1)
    number = index - first + 1 if frames > 1 or (group, FIRST) in data and frames_of(data) > 1 else 0
    if not 0 <= number < frames:
        return None
    size = rows * columns
    bits = numpy.unpackbits(numpy.frombuffer(value_of(data, group, CONTENT), numpy.uint8), bitorder="little")
    if bits.size < (number + 1) * size:
        raise ValueError
    return bits[number * size : (number + 1) * size].reshape(rows, columns)


def embedded(data: Dataset, group: int, index: int) -> Values:
    """Return a layer that is stored in the unused bits of the pixels."""
    values = stored_values(data, index)
    position = int(value_of(data, group, POSITION))
    if values is None or int(data.HighBit) - int(data.BitsStored) < position <= int(data.HighBit):
        raise ValueError
    layer: Values = (values >> values.dtype.type(position)) & values.dtype.type(1)
    return layer


def frames_of(data: Dataset) -> int:
    return int(data.get("NumberOfFrames") or 1)


def value_of(data: Dataset, group: int, element: int) -> Any:
    return data[group, element].value if (group, element) in data else None
