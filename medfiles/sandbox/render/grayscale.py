"""DICOM grayscale transformations: modality LUT, then a window or VOI LUT."""

from typing import Any

import numpy
from numpy.typing import NDArray
from pydicom.dataset import Dataset
from pydicom.pixels.processing import apply_modality_lut, apply_voi

Values = NDArray[Any]
Window = tuple[float, float]
FUNCTIONS = ("LINEAR", "LINEAR_EXACT", "SIGMOID")


class GrayscaleTransform:
    """The grayscale transformations of one frame, taken from the image or its functional groups."""

    def __init__(self, data: Dataset, index: int) -> None:
        self.data = data
        self.modality = find_dataset(data, index, "PixelValueTransformationSequence", "RescaleSlope")
        self.voi = find_dataset(data, index, "FrameVOILUTSequence", "WindowCenter")

    def modality_values(self, values: Values) -> Values:
        """Convert to the modality's unit, such as Hounsfield units for CT."""
        source = self.data if self.data.get("ModalityLUTSequence") else self.modality
        modality_values: Values = apply_modality_lut(values, source)
        return modality_values.astype(numpy.float32) if modality_values.dtype.kind == "f" else modality_values

    def windows(self) -> list[tuple[str, float, float]]:
        """Return the file's windows as (label, center, width)."""
        centers, widths = (map(float, as_list(self.voi.get(name))) for name in ("WindowCenter", "WindowWidth"))
        labels = [str(label).strip() for label in as_list(self.voi.get("WindowCenterWidthExplanation"))]
        pairs = zip(centers, widths, strict=False)
        return [
            (label_of(labels, place), center, width)
            for place, (center, width) in enumerate(pairs)
            if width > 0 and numpy.isfinite([center, width]).all()
        ]

    def full_range(self, values: Values) -> Window:
        """Return the window that spans the frame's values, excluding padding."""
        padding, within = self.data.get("PixelPaddingValue"), values
        if padding is not None and values.dtype.kind in "iu" and (values != padding).any():
            within = values[values != padding]
        modality_values = self.modality_values(within)
        if modality_values.dtype.kind == "f":
            modality_values = modality_values[numpy.isfinite(modality_values)]
        least, most = (
            (float(modality_values.min()), float(modality_values.max())) if modality_values.size else (0.0, 0.0)
        )
        return (least + most + 1) / 2, most - least + 1

    def to_grayscale(self, values: Values, window: Window | None) -> Values:
        """Map values to the range 0 to 255 through this window, or as the file specifies if it is None."""
        if window is None and self.data.get("VOILUTSequence"):
            depth = int(self.data.VOILUTSequence[0].LUTDescriptor[2])
            return to_bytes(apply_voi(self.modality_values(values).astype(numpy.int32), self.data), 0, 2**depth - 1)
        own = self.windows()
        if window is None and not own:
            center, width = self.full_range(values)
            return to_bytes(self.modality_values(values), center - width / 2, width - 1)
        return self.apply_window(self.modality_values(values), window or own[0][1:])

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


def to_bytes(values: Values, least: float, span: float) -> Values:
    scaled: Values = (values.astype(numpy.float32) - least) * (255 / max(span, 1e-9))
    grey: Values = numpy.nan_to_num(scaled).clip(0, 255).round().astype(numpy.uint8)
    return grey


def find_dataset(data: Dataset, index: int, sequence: str, name: str) -> Dataset:
    """Return the data set that has this attribute: the image itself, the frame's group or the shared group."""
    if name in data:
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
