"""Tell sound images that the decoder does not support from damaged ones, by the structure of the file."""

import struct
from collections.abc import Callable, Iterator, Mapping
from io import BytesIO

from PIL import Image, ImageChops

from medfiles.sandbox.inspect.signatures import BROKEN

LEAST_SHARE = 0.9  # of the rows of a JPEG that must be there
END_OF_IMAGE, START_OF_SCAN = b"\xff\xd9", b"\xff\xda"
FILLER = bytes(number * 89 % 251 for number in range(4096))
BASELINE = {0xC0, 0xC1, 0xC2}  # the frame types that the decoder supports: Huffman coding, baseline or progressive
FRAMES = {*range(0xC0, 0xD0)} - {0xC4, 0xC8, 0xCC}
WITHOUT_LENGTH = {0x01, *range(0xD0, 0xD9)}
TIFF_SIZES = {1: 1, 2: 1, 3: 2, 4: 4, 5: 8, 6: 1, 7: 1, 8: 2, 9: 4, 10: 8, 11: 4, 12: 8}
WIDTH, HEIGHT, OFFSETS, COUNTS = 256, 257, (273, 324), (279, 325)


def is_sound(data: bytes, media_type: str) -> bool:
    """Return whether the image's structure is complete, so that the decoder lacks its depth or codec."""
    try:
        return media_type in STRUCTURES and STRUCTURES[media_type](data)
    except BROKEN:
        return False


def is_nearly_whole(data: bytes) -> bool:
    """Return whether only the end of a JPEG is missing.

    The decoder makes up rows that are missing, from anything that follows. The rows in which two attempts with
    different endings differ are therefore missing.
    """
    if data.endswith(END_OF_IMAGE):
        return False
    try:
        with Image.open(BytesIO(data + END_OF_IMAGE), formats=["JPEG"]) as picture:
            whole = picture.convert("RGB")
            if picture.info.get("progressive"):
                return data.count(START_OF_SCAN) > 1  # the first scan covers all rows
        with Image.open(BytesIO(data + FILLER + END_OF_IMAGE), formats=["JPEG"]) as picture:
            missing = ImageChops.difference(whole, picture.convert("RGB")).getbbox()
    except BROKEN:
        return False
    return missing is None or missing[1] >= LEAST_SHARE * whole.height


def is_sound_tiff(data: bytes) -> bool:
    """Return whether the first directory of a TIFF lists strips or tiles that are inside the file."""
    order = "<" if data[:2] == b"II" else ">"
    tags = dict(_tiff_tags(data, order))
    offsets = next((tags[tag] for tag in OFFSETS if tag in tags), ())
    counts = next((tags[tag] for tag in COUNTS if tag in tags), ())
    extents = list(zip(offsets, counts, strict=True))
    shape = (*tags.get(WIDTH, ()), *tags.get(HEIGHT, ()))
    if not extents or len(shape) != 2 or min(shape) < 1:
        return False
    return all(at + size <= len(data) for at, size in extents)


def _tiff_tags(data: bytes, order: str) -> Iterator[tuple[int, tuple[int, ...]]]:
    (directory,) = struct.unpack_from(f"{order}I", data, 4)
    (entries,) = struct.unpack_from(f"{order}H", data, directory)
    for number in range(entries):
        tag, kind, count = struct.unpack_from(f"{order}2HI", data, directory + 2 + 12 * number)
        if kind not in (3, 4):
            continue
        at = directory + 2 + 12 * number + 8
        if TIFF_SIZES[kind] * count > 4:
            (at,) = struct.unpack_from(f"{order}I", data, at)
        if at + TIFF_SIZES[kind] * count > len(data):
            raise ValueError("values outside the file")
        yield tag, struct.unpack_from(f"{order}{count}{'H' if kind == 3 else 'I'}", data, at)


def is_sound_bmp(data: bytes) -> bool:
    """Return whether the pixels that the header of a BMP announces are there."""
    (start, header) = struct.unpack_from("<2I", data, 10)
    if header == 12:
        width, height, planes, depth = struct.unpack_from("<4H", data, 18)
        compression = 0
    else:
        width, height, planes, depth, compression = struct.unpack_from("<2i2HI", data, 18)
    plain = (width * depth + 31) // 32 * 4 * abs(height) if compression in (0, 3, 6) else 1
    return bool(planes == 1 and width > 0 and height != 0 and 0 < plain <= len(data) - start)


def is_sound_jpeg(data: bytes) -> bool:
    """Return whether a JPEG is complete but of a kind that the decoder lacks, such as lossless or 12-bit JPEG."""
    if not data.rstrip(b"\0\r\n").endswith(END_OF_IMAGE):
        return False
    at = 2
    while data[at] == 0xFF:
        marker = data[at + 1]
        if marker in WITHOUT_LENGTH:
            at += 2
            continue
        if marker in FRAMES or marker == 0xF7:
            return marker not in BASELINE or data[at + 4] != 8
        at += 2 + int.from_bytes(data[at + 2 : at + 4])
    return False


def is_sound_heic(data: bytes) -> bool:
    """Return whether the boxes of a HEIC image fill the file exactly, and include a description of the image."""
    at, names = 0, set[bytes]()
    while at < len(data):
        size, name = struct.unpack_from(">I4s", data, at)
        if size == 1:
            (size,) = struct.unpack_from(">Q", data, at + 8)
        at, names = at + (size or len(data) - at), names | {name}
        if size and size < 8:
            return False
    return at == len(data) and {b"ftyp", b"meta"} <= names


STRUCTURES: Mapping[str, Callable[[bytes], bool]] = {
    "image/bmp": is_sound_bmp,
    "image/heic": is_sound_heic,
    "image/jpeg": is_sound_jpeg,
    "image/tiff": is_sound_tiff,
}
