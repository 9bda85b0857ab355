"""The DICOM tags to show: how and with which device the image was taken, but no identities or free text."""

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
    """Return (label, value) pairs, leaving out missing tags."""
    modality = printable(data, "Modality")
    tags = [
        ("Image type", MODALITIES.get(modality, modality)),
        ("Date", iso_date(printable(data, "AcquisitionDate") or printable(data, "StudyDate"))),
        ("Side", SIDES.get(printable(data, "Laterality") or printable(data, "ImageLaterality"), "")),
        *((label, with_unit(printable(data, name), unit)) for label, name, unit in PLAIN),
        ("Size", f"{int(data.Columns)} × {int(data.Rows)} pixels"),
        ("Encoding", str(getattr(data.file_meta.get("TransferSyntaxUID"), "name", ""))),
    ]
    return ((label, value) for label, value in tags if value)


def printable(data: Dataset, name: str) -> str:
    value: Any = data.get(name)
    text = "" if value is None else str(value)
    return "".join(letter for letter in text if letter.isprintable()).strip()[:LONGEST]


def iso_date(text: str) -> str:
    return f"{text[:4]}-{text[4:6]}-{text[6:8]}" if len(text) == 8 and text.isdigit() else ""


def with_unit(text: str, unit: str) -> str:
    try:
        return f"{float(text):g} {unit}" if unit and text else text
    except ValueError:
        return ""
