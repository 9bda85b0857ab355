"""What is told of a DICOM image: how it was taken and with what, in words; nothing of whose it is, no free text."""

from collections.abc import Iterator
from typing import Any

from pydicom.dataset import Dataset

LONGEST = 64
MODALITIES = {
    "CR": "X-ray (computed radiography)",
    "CT": "CT",
    "DX": "X-ray (digital radiography)",
    "ES": "Endoscopy",
    "IO": "Dental X-ray",
    "MG": "Mammography",
    "MR": "MRI",
    "NM": "Nuclear medicine",
    "OP": "Eye photography",
    "OPT": "Eye tomography",
    "PT": "PET",
    "PX": "Panoramic X-ray",
    "RF": "Fluoroscopy",
    "RTDOSE": "Radiotherapy dose",
    "RTIMAGE": "Radiotherapy image",
    "SC": "Captured image",
    "SEG": "Segmentation",
    "SM": "Microscopy",
    "US": "Ultrasound",
    "XA": "Angiography",
    "XC": "Photography",
}
SIDES = {"R": "right", "L": "left", "B": "both sides", "U": "unpaired"}
PLAIN = (
    ("Body part", "BodyPartExamined", ""),
    ("View", "ViewPosition", ""),
    ("Device", "Manufacturer", ""),
    ("Model", "ManufacturerModelName", ""),
    ("Slice thickness", "SliceThickness", "mm"),
    ("Tube voltage", "KVP", "kV"),
    ("Magnetic field", "MagneticFieldStrength", "T"),
    ("Repetition time", "RepetitionTime", "ms"),
    ("Echo time", "EchoTime", "ms"),
)


def tags_of(data: Dataset) -> Iterator[tuple[str, str]]:
    """Label and value; what the file does not say is left out."""
    modality = word(data, "Modality")
    yield from said("Image type", MODALITIES.get(modality, modality))
    yield from said("Date", day(word(data, "AcquisitionDate") or word(data, "StudyDate")))
    yield from said("Side", SIDES.get(word(data, "Laterality") or word(data, "ImageLaterality"), ""))
    for label, name, unit in PLAIN:
        yield from said(label, measured(word(data, name), unit))
    yield "Size", f"{int(data.Columns)} × {int(data.Rows)} pixels"
    yield from said("Encoding", str(getattr(data.file_meta.get("TransferSyntaxUID"), "name", "")))


def said(label: str, value: str) -> Iterator[tuple[str, str]]:
    if value:
        yield label, value


def word(data: Dataset, name: str) -> str:
    value: Any = data.get(name)
    text = "" if value is None else str(value)
    return "".join(letter for letter in text if letter.isprintable()).strip()[:LONGEST]


def day(text: str) -> str:
    return f"{text[:4]}-{text[4:6]}-{text[6:8]}" if len(text) == 8 and text.isdigit() else ""


def measured(text: str, unit: str) -> str:
    try:
        return f"{float(text):g} {unit}" if unit and text else text
    except ValueError:
        return ""
