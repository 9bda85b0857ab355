"""Inspect DICOM files for a harmless preamble, a limited decompressed size and a complete data set.

Referenced files are never opened.
"""

import logging
import zlib
from typing import Any, BinaryIO

import pydicom
from pydicom import config
from pydicom.dataelem import RawDataElement
from pydicom.filereader import read_dataset
from pydicom.uid import DeflatedExplicitVRLittleEndian, MediaStorageDirectoryStorage

from medfiles.sandbox.dicom import read_dicom
from medfiles.sandbox.inspect.markup import MARKUP, TAGS
from medfiles.sandbox.inspect.pictures import check_size
from medfiles.sandbox.inspect.signatures import (
    ARCHIVES,
    BROKEN,
    DATA_SET,
    PROGRAMS,
    Damaged,
    Unsafe,
    Unsupported,
    WrongType,
    identify,
)

PREAMBLE, UNDEFINED = 128, 0xFFFFFFFF
CHUNK = 1024**2
MAX_INFLATED = 200 * 1024**2
FORBIDDEN = PROGRAMS | MARKUP | ARCHIVES | {"pdf", "xml", "ole", "rtf"}

config.settings.reading_validation_mode = config.IGNORE
logging.getLogger("pydicom").disabled = True


def inspect(file: BinaryIO, media_type: str) -> dict[str, Any]:
    start = file.read(PREAMBLE + 4)
    try:
        if not DATA_SET.match(start):
            check_start(start)
            check_inflated_size(file)
        file.seek(0)
        data = read_dicom(file)
        if (
            data.file_meta.get("MediaStorageSOPClassUID") == MediaStorageDirectoryStorage
            or "DirectoryRecordSequence" in data
        ):
            raise Unsupported("dicom directory")
        check_complete(data)
        check_size((int(data.get("Columns") or 0), int(data.get("Rows") or 0)))
    except RecursionError as error:
        raise Unsafe("This DICOM file is nested too deeply to be opened safely.") from error
    except BROKEN as error:
        raise Damaged from error
    return {"media_type": media_type, "pages": None}


def check_start(start: bytes) -> None:
    preamble = start[:PREAMBLE]
    if start[PREAMBLE:] != b"DICM":
        raise WrongType
    if identify(preamble) in FORBIDDEN or TAGS.search(preamble.lower()):
        raise Unsafe(
            "This DICOM file starts with content that is not part of an image, such as a program or a web page. "
            "Export it again from the program that created it."
        )


def check_inflated_size(file: BinaryIO) -> None:
    """Check the decompressed size first, because pydicom inflates the data set all at once."""
    meta = read_dataset(file, False, True, stop_when=lambda tag, vr, length: tag >> 16 != 2)
    if meta.get("TransferSyntaxUID") != DeflatedExplicitVRLittleEndian:
        return
    deflated, engine, size = file.read(), zlib.decompressobj(-zlib.MAX_WBITS), 0
    while deflated and not engine.eof:
        size += len(engine.decompress(deflated, CHUNK))
        deflated = engine.unconsumed_tail
        if size > MAX_INFLATED:
            raise Unsafe(
                f"This DICOM file unpacks to more than {MAX_INFLATED // 1024**2} MB, too large to open. "
                "Export it again without compression."
            )


def check_complete(data: pydicom.Dataset) -> None:
    """Raise Damaged for a truncated file, which pydicom reads without complaint."""
    raw: list[Any] = [data.get_item(element) for element in list(data.keys())]
    cut = any(
        isinstance(item, RawDataElement) and item.length != UNDEFINED and len(item.value or b"") < item.length
        for item in raw
    )
    if cut or not raw:
        raise Damaged
