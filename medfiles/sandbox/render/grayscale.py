"""DICOM grayscale transformations: modality LUT, then a window or VOI LUT."""

from dataclasses import dataclass
from typing import Any

import numpy
from numpy.typing import NDArray
from pydicom.dataset import Dataset

from medfiles.sandbox.render.pixels import decimals, has_commas, integer

Values = NDArray[Any]
Window = tuple[float, float]
FUNCTIONS = ("LINEAR", "LINEAR_EXACT", "SIGMOID")
UNREADABLE = "A brightness table of this image is left out, because it cannot be read."
COMMAS = "The brightness settings of this image are written with decimal commas."


@dataclass(frozen=True)
class LookupTable:
    """A table of `entries`, of so many `bits` each. The first one stands for the value `first`."""

    first: int
    bits: int
    entries: Values
    label: str

    def apply(self, values: Values) -> Values:
        places = numpy.nan_to_num(values).astype(numpy.float64).round() - self.first
        return self.entries[places.clip(0, self.entries.size - 1).astype(numpy.int64)]

    def to_grayscale(self, values: Values) -> Values:
        """Map values to the range 0 to 255, over which a table with another depth than it declares is spread."""
        least, most = int(self.entries.min()), int(self.entries.max())
        if most.bit_length() == self.bits:
            least, most = 0, (1 << self.bits) - 1
        return to_bytes(self.apply(values), least, most - least)

    def window(self, place: int) -> Window:
        """Return a window that stands for this table. No other preset has the same width."""
        return self.first + self.entries.size / 2, self.entries.size + (place + 1) / 1000


class GrayscaleTransform:
    """The grayscale transformations of one frame, taken from the image or its functional groups."""

    def __init__(self, data: Dataset, index: int) -> None:
        self.data, self.notes = data, list[str]()
        self.modality = find_dataset(data, index, "PixelValueTransformationSequence", "RescaleSlope")
        self.voi = find_dataset(data, index, "FrameVOILUTSequence", "WindowCenter", "VOILUTSequence")
        self.modality_tables = self._tables(data, "ModalityLUTSequence", "ModalityLUTType")
        self.tables = self._tables(self.voi, "VOILUTSequence", "LUTExplanation")
        if any(has_commas(self.voi, name) for name in ("WindowCenter", "WindowWidth")):
            self.notes.append(COMMAS)

    def modality_values(self, values: Values) -> Values:
        """Convert to the modality's unit, such as Hounsfield units for CT."""
        if self.modality_tables:
            return self.modality_tables[0].apply(values)
        slopes, intercepts = (decimals(self.modality, name) for name in ("RescaleSlope", "RescaleIntercept"))
        slope, intercept = next(iter(slopes), 1.0) or 1.0, next(iter(intercepts), 0.0)
        if (slope, intercept) == (1.0, 0.0):
            return values.astype(numpy.float32) if values.dtype.kind == "f" else values
        scaled: Values = (values.astype(numpy.float64) * slope + intercept).astype(numpy.float32)
        return scaled

    def windows(self) -> list[tuple[str, float, float]]:
        """Return the file's tables and windows as (label, center, width)."""
        centers, widths = (decimals(self.voi, name) for name in ("WindowCenter", "WindowWidth"))
        labels = [str(label).strip() for label in as_list(self.voi.get("WindowCenterWidthExplanation"))]
        tables = [
            (table.label or f"Table {place + 1}", *table.window(place)) for place, table in enumerate(self.tables)
        ]
        return tables + [
            (label_of(labels, place), center, width)
            for place, (center, width) in enumerate(zip(centers, widths, strict=False))
            if width > 0
        ]

    def full_range(self, values: Values) -> Window:
        """Return the window that spans the frame's values, excluding padding."""
        modality_values = self.modality_values(self.without_padding(values))
        if modality_values.dtype.kind == "f":
            modality_values = modality_values[numpy.isfinite(modality_values)]
        least, most = (
            (float(modality_values.min()), float(modality_values.max())) if modality_values.size else (0.0, 0.0)
        )
        return (least + most + 1) / 2, most - least + 1

    def without_padding(self, values: Values) -> Values:
        padding = integer(self.data, "PixelPaddingValue")
        if padding is None or values.dtype.kind not in "iu":
            return values
        limit = integer(self.data, "PixelPaddingRangeLimit")
        least, most = sorted(self._as_stored(value) for value in (padding, padding if limit is None else limit))
        image: Values = values[(values < least) | (values > most)]
        return image if image.size else values

    def to_grayscale(self, values: Values, window: Window | None) -> Values:
        """Map values to the range 0 to 255 through this window, or as the file specifies if it is None."""
        own = self.windows()
        wanted = window or (own[0][1:] if own else None)
        for place, table in enumerate(self.tables):
            if wanted and is_same(wanted, table.window(place)):
                return table.to_grayscale(self.modality_values(values))
        full = self.full_range(values)
        if wanted is None or is_same(wanted, full):
            center, width = full
            return to_bytes(self.modality_values(values), center - width / 2, width - 1)
        return self.apply_window(self.modality_values(values), wanted)

    def apply_window(self, modality_values: Values, window: Window) -> Values:
        """Apply a window as defined in PS3.3 C.11.2.1.2 and C.11.2.1.3."""
        center, width = window
        function = self.voi.get("VOILUTFunction") or FUNCTIONS[0]
        if function == "SIGMOID":
            steep = (-4 * (modality_values.astype(numpy.float32) - center) / width).clip(-80, 80)
            return to_bytes(1 / (1 + numpy.exp(steep)), 0, 1)
        if function == "LINEAR_EXACT" or width <= 1:
            return to_bytes(modality_values, center - width / 2, width)
        return to_bytes(modality_values, center - 0.5 - (width - 1) / 2, width - 1)

    def _as_stored(self, value: int) -> int:
        """Return a value with the sign of the pixels. Its own type may be either one."""
        bits, signed = int(self.data.BitsAllocated), self.data.PixelRepresentation == 1
        if signed and value >= 1 << (bits - 1):
            return value - (1 << bits)
        return value + (1 << bits) if not signed and value < 0 else value

    def _tables(self, source: Dataset, sequence: str, label: str) -> list[LookupTable]:
        found = []
        for item in source.get(sequence) or ():
            try:
                found.append(self._table(item, label))
            except (ValueError, TypeError, IndexError, AttributeError, KeyError):
                self.notes.append(UNREADABLE)
        return found

    def _table(self, item: Dataset, label: str) -> LookupTable:
        count, first, bits = (int(value) for value in list(item.LUTDescriptor)[:3])
        count = count % 65536 or 65536
        lowest = decimals(self.modality, "RescaleIntercept")
        signed = self.data.get("PixelRepresentation") == 1 or bool(lowest and lowest[0] < 0)
        content = item.LUTData
        if isinstance(content, bytes) and len(content) in (count, count + count % 2):
            entries: Values = numpy.frombuffer(content, numpy.uint8)  # two entries to a word
        elif isinstance(content, bytes):
            order = "<" if self.data.original_encoding[1] is not False else ">"
            entries = numpy.frombuffer(content[: len(content) // 2 * 2], f"{order}u2")
        else:
            entries = numpy.asarray(as_list(content)).astype(numpy.int64) & 0xFFFF
        if not entries.size:
            raise ValueError
        words = "".join(letter for letter in str(item.get(label) or "") if letter.isprintable()).strip()
        return LookupTable(first - 65536 if signed and first > 32767 else first, bits, entries[:count], words[:40])


def is_same(one: Window, other: Window) -> bool:
    return all(round(mine, 3) == round(its, 3) for mine, its in zip(one, other, strict=True))


def to_bytes(values: Values, least: float, span: float) -> Values:
    scaled: Values = (values.astype(numpy.float32) - least) * (255 / max(span, 1e-9))
    grey: Values = numpy.nan_to_num(scaled).clip(0, 255).round().astype(numpy.uint8)
    return grey


def find_dataset(data: Dataset, index: int, sequence: str, *names: str) -> Dataset:
    """Return the data set that has one of these attributes: the image itself, the frame's group or the shared group."""
    if any(name in data for name in names):
        return data
    per_frame, shared = data.get("PerFrameFunctionalGroupsSequence") or (), data.get("SharedFunctionalGroupsSequence")
    groups = [*per_frame[index : index + 1], *(shared or ())]
    found = (group[sequence][0] for group in groups if sequence in group and group[sequence].value)
    return next(found, data)


def as_list(value: Any) -> list[Any]:
    if value is None or value == "":
        return []
    return list(value) if not isinstance(value, str | float | int) else [value]


def label_of(labels: list[str], place: int) -> str:
    known = labels[place][:40] if place < len(labels) else ""
    return known or ("As recorded" if place == 0 else f"Window {place + 1}")
