"""Read DICOM data sets, with or without the preamble and file meta information that older programs leave out."""

from typing import BinaryIO

import pydicom
from pydicom.uid import ExplicitVRBigEndian, ExplicitVRLittleEndian, ImplicitVRLittleEndian


def read_dicom(file: BinaryIO) -> pydicom.FileDataset:
    """Return the data set. A missing transfer syntax is the one in which it was read."""
    data = pydicom.dcmread(file, force=True)
    if "TransferSyntaxUID" not in data.file_meta:
        is_implicit, is_little = data.original_encoding
        explicit = ExplicitVRLittleEndian if is_little else ExplicitVRBigEndian
        data.file_meta.TransferSyntaxUID = ImplicitVRLittleEndian if is_implicit else explicit
    return data
