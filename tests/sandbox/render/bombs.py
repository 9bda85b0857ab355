"""Files made to hurt whoever opens them."""

import random
import struct
from collections.abc import Callable, Iterator

from tests.support import samples

TYPES: dict[str, Callable[[], bytes]] = {
    "application/pdf": samples.pdf,
    "image/jpeg": samples.jpeg,
    "image/png": samples.png,
    "image/gif": lambda: samples.gif(3),
    "image/bmp": samples.bmp,
    "image/tiff": lambda: samples.tiff(3),
    "image/heic": samples.heic,
    "application/dicom": samples.dicom,
    "text/plain": samples.txt,
    "text/csv": samples.csv,
    "application/json": samples.json,
    "application/xml": samples.xml,
    "application/msword": samples.doc,
    "application/vnd.ms-excel": samples.xls,
    samples.WORD: samples.docx,
    samples.SHEET: samples.xlsx,
}
LAUGHS = '<!DOCTYPE x [<!ENTITY a "ha">' + "".join(
    f'<!ENTITY {name} "{("&" + before + ";") * 10}">' for before, name in zip("abcdefghi", "bcdefghij", strict=True)
)
LAUGHING = f"{samples.XML_HEAD}{LAUGHS}]><x>&j;</x>".encode()


def tiff_header(width: int, height: int) -> bytes:
    """One that says how large it is and holds a single strip of nothing."""
    tags = ((256, width), (257, height), (258, 8), (259, 1), (262, 1), (273, 8), (277, 1), (278, height), (279, 1))
    body = b"".join(struct.pack("<2H2I", tag, 4, 1, value) for tag, value in tags)
    return struct.pack("<2sHI", b"II", 42, 8) + struct.pack("<H", len(tags)) + body + bytes(4)


def zip_bomb(parts: dict[str, str | bytes], name: str) -> bytes:
    """A part that grows to 100 MB while it is read."""
    head, _, tail = str(parts[name]).partition("</")
    return samples.package(parts | {name: head.encode() + b" " * (100 * 1024**2) + f"</{tail}".encode()})


def huge_headers() -> dict[str, tuple[bytes, str]]:
    """Pictures that claim to be larger than any that is drawn."""
    bitmap = struct.pack("<IiiHHIIiiII", 40, 60000, 60000, 1, 24, 0, 0, 0, 0, 0, 0)
    return {
        "png": (samples.png_header(50_001, 50_001), "image/png"),
        "long png": (samples.png_header(2**31 - 1, 1), "image/png"),
        "tiff": (tiff_header(60_000, 60_000), "image/tiff"),
        "gif": (b"GIF89a" + struct.pack("<2H3B", 65535, 65535, 0, 0, 0) + b";", "image/gif"),
        "bmp": (b"BM" + struct.pack("<IHHI", 54, 0, 0, 54) + bitmap, "image/bmp"),
    }


def largest_png() -> bytes:
    """As many pixels as are accepted, in next to no bytes."""
    return samples.png_file(100_000, 1000, 1, 0, (b"\0" + bytes(12_500)) * 1000)


def laughing_docx() -> bytes:
    return samples.package(samples.docx_parts() | {"word/document.xml": LAUGHING})


def laughing_xlsx() -> bytes:
    return samples.package(samples.xlsx_parts() | {"xl/worksheets/sheet1.xml": LAUGHING})


def growing(kind: str) -> bytes:
    if kind == samples.WORD:
        return zip_bomb(samples.docx_parts(), "word/document.xml")
    return zip_bomb(samples.xlsx_parts(), "xl/worksheets/sheet1.xml")


def far_cell() -> bytes:
    """A sheet with one cell in its last row and column."""
    parts = samples.xlsx_parts()
    sheet = str(parts["xl/worksheets/sheet1.xml"])
    far = sheet.replace("</row>", '</row><row r="1048576"><c r="XFD1048576"><v>1</v></c></row>')
    return samples.package(parts | {"xl/worksheets/sheet1.xml": far})


def endless_drawing() -> bytes:
    """A pattern that is painted with itself, on a page full of it."""
    drawing = b"/Pattern cs /P1 scn 0 0 600 800 re f " * 2000
    pattern = (
        "<< /Type /Pattern /PatternType 1 /PaintType 1 /TilingType 1 /BBox [0 0 1 1] /XStep 0.01 /YStep 0.01 "
        "/Resources << /Pattern << /P1 5 0 R >> >> /Length {size} >>\nstream\n{drawing}\nendstream"
    )
    inner = "/Pattern cs /P1 scn 0 0 600 800 re f " * 200
    return samples.pdf_file(
        [
            b"<< /Type /Catalog /Pages 2 0 R >>",
            b"<< /Type /Pages /Kids [3 0 R] /Count 1 >>",
            b"<< /Type /Page /Parent 2 0 R /MediaBox [0 0 600 800] /Contents 4 0 R "
            b"/Resources << /Pattern << /P1 5 0 R >> >> >>",
            b"<< /Length %d >>\nstream\n%s\nendstream" % (len(drawing), drawing),
            pattern.format(size=len(inner), drawing=inner).encode(),
        ]
    )


def cut_off(media_type: str, places: int) -> Iterator[bytes]:
    """A good file of this type, ended at random places."""
    whole, chance = TYPES[media_type](), random.Random(media_type)
    for _ in range(places):
        yield whole[: chance.randrange(len(whole))]
