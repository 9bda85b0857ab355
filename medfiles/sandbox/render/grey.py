"""From stored values to grey: the modality's table, then a window or the VOI table, of the frame that is asked for."""

from typing import Any

import numpy
from numpy.typing import NDArray
from pydicom.dataset import Dataset
from pydicom.pixels.processing import apply_modality_lut, apply_voi

Values = NDArray[Any]
Window = tuple[float, float]
FUNCTIONS = ("LINEAR", "LINEAR_EXACT", "SIGMOID")


class Tables:
    """The tables of one frame: those of the image itself, or those its functional groups hold for this frame or all."""

    def __init__(self, data: Dataset, index: int) -> None:
        self.data = data
        self.modality = holder(data, index, "PixelValueTransformationSequence", "RescaleSlope")
        self.voi = holder(data, index, "FrameVOILUTSequence", "WindowCenter")

    def real(self, values: Values) -> Values:
        """In the image's own unit, as Hounsfield's of a CT."""
        source = self.data if self.data.get("ModalityLUTSequence") else self.modality
        real: Values = apply_modality_lut(values, source)
        return real.astype(numpy.float32) if real.dtype.kind == "f" else real

    def windows(self) -> list[tuple[str, float, float]]:
        """Label, centre and width as the file has them."""
        centers, widths = numbers(self.voi.get("WindowCenter")), numbers(self.voi.get("WindowWidth"))
        labels = texts(self.voi.get("WindowCenterWidthExplanation"))
        pairs = zip(centers, widths, strict=False)
        return [
            (label_of(labels, place), center, width)
            for place, (center, width) in enumerate(pairs)
            if width > 0 and numpy.isfinite([center, width]).all()
        ]

    def full(self, values: Values) -> Window:
        """From the least to the most of a frame's stored values; what was put around the image does not count."""
        padding, within = self.data.get("PixelPaddingValue"), values
        if padding is not None and values.dtype.kind in "iu" and (values != padding).any():
            within = values[values != padding]
        real = self.real(within)
        if real.dtype.kind == "f":
            real = real[numpy.isfinite(real)]
        least, most = (float(real.min()), float(real.max())) if real.size else (0.0, 0.0)
        return (least + most + 1) / 2, most - least + 1

    def shown(self, values: Values, window: Window | None) -> Values:
        """0 to 255, through this window or, without one, as the file says."""
        if window is None and self.data.get("VOILUTSequence"):
            depth = int(self.data.VOILUTSequence[0].LUTDescriptor[2])
            return bytes_of(apply_voi(self.real(values).astype(numpy.int32), self.data), 0, 2**depth - 1)
        own = self.windows()
        if window is None and not own:
            center, width = self.full(values)
            return bytes_of(self.real(values), center - width / 2, width - 1)
        return self.through(self.real(values), window or own[0][1:])

    def through(self, real: Values, window: Window) -> Values:
        """PS3.3 C.11.2.1.2 and C.11.2.1.3."""
        center, width = window
        function = self.voi.get("VOILUTFunction") or FUNCTIONS[0]
        if function == "SIGMOID":
            steep = (-4 * (real.astype(numpy.float32) - center) / width).clip(-80, 80)
            return bytes_of(1 / (1 + numpy.exp(steep)), 0, 1)
        if function == "LINEAR_EXACT" or width <= 1:
            return bytes_of(real, center - width / 2, width)
        return bytes_of(real, center - 0.5 - (width - 1) / 2, width - 1)


def bytes_of(values: Values, least: float, span: float) -> Values:
    scaled: Values = (values.astype(numpy.float32) - least) * (255 / max(span, 1e-9))
    shown: Values = numpy.nan_to_num(scaled).clip(0, 255).round().astype(numpy.uint8)
    return shown


def holder(data: Dataset, index: int, sequence: str, name: str) -> Dataset:
    """Where the tables are: in the image, or in the functional group of its frame or of all frames."""
    if name in data:
        return data
    per_frame, shared = data.get("PerFrameFunctionalGroupsSequence") or (), data.get("SharedFunctionalGroupsSequence")
    groups = [*per_frame[index : index + 1], *(shared or ())]
    found = (group[sequence][0] for group in groups if sequence in group and group[sequence].value)
    return next(found, data)


def numbers(value: Any) -> list[float]:
    return [float(entry) for entry in several(value)]


def texts(value: Any) -> list[str]:
    return [str(entry).strip() for entry in several(value)]


def several(value: Any) -> list[Any]:
    if value is None or value == "":
        return []
    return list(value) if not isinstance(value, str | float | int) else [value]


def label_of(labels: list[str], place: int) -> str:
    known = labels[place][:40] if place < len(labels) else ""
    return known or ("As recorded" if place == 0 else f"Window {place + 1}")
