"""Recognize Office documents that are locked with a password."""

import struct
from typing import BinaryIO

import olefile

from medfiles.sandbox.inspect.signatures import BROKEN

LOCKED = "This document is locked with a password. Download it to open it with the password."
OLE = b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1"
FILE_PASS, BEGINNINGS = 0x2F, (0x0009, 0x0209, 0x0409, 0x0809)  # records of old workbooks
BASE_FLAGS, ENCRYPTED = 0x0A, 0x0100  # in the header of old Word documents


def is_locked(file: BinaryIO) -> bool:
    """Return whether the content is encrypted. The file is rewound."""
    file.seek(0)
    is_compound = file.read(len(OLE)) == OLE
    file.seek(0)
    if not is_compound:
        return False
    try:
        with olefile.OleFileIO(file.read()) as compound:
            if compound.exists("EncryptedPackage"):
                return True
            return is_locked_workbook(compound) or is_locked_word(compound)
    except BROKEN:
        return False
    finally:
        file.seek(0)


def is_locked_workbook(compound: olefile.OleFileIO) -> bool:
    """Return whether a FILEPASS record follows the beginning of the workbook."""
    name = next((name for name in ("Workbook", "Book") if compound.exists(name)), None)
    if name is None:
        return False
    stream = compound.openstream(name)
    kind, size = struct.unpack("<HH", stream.read(4))
    if kind not in BEGINNINGS:
        return False
    for _ in range(3):  # a record about write protection may come first
        stream.seek(size, 1)
        kind, size = struct.unpack("<HH", stream.read(4))
        if kind == FILE_PASS:
            return True
    return False


def is_locked_word(compound: olefile.OleFileIO) -> bool:
    if not compound.exists("WordDocument"):
        return False
    header = compound.openstream("WordDocument").read(BASE_FLAGS + 2)
    return bool(struct.unpack_from("<H", header, BASE_FLAGS)[0] & ENCRYPTED)
