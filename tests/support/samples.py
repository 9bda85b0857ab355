"""Factories for real files of every accepted type, as bytes, and some hostile ones. All fictional."""

import csv as commas
import io
import json as notation
import struct
import warnings
import zipfile
import zlib
from collections.abc import Callable, Iterable
from pathlib import Path

import pydicom.data
from PIL import Image, ImageDraw

FIXTURES = Path(__file__).parents[1] / "fixtures"
WORD = "application/vnd.openxmlformats-officedocument.wordprocessingml.document"
SHEET = "application/vnd.openxmlformats-officedocument.spreadsheetml.sheet"
RELATIONS = "http://schemas.openxmlformats.org/package/2006/relationships"
OFFICE_RELATIONS = "http://schemas.openxmlformats.org/officeDocument/2006/relationships"
XML_HEAD = '<?xml version="1.0" encoding="UTF-8" standalone="yes"?>\n'
FREE, END, FAT = 0xFFFFFFFF, 0xFFFFFFFE, 0xFFFFFFFD


def pdf(pages: int = 1, text: str = "Blood count, all values in range", trailer: str = "") -> bytes:
    kids = " ".join(f"{4 + 2 * number} 0 R" for number in range(pages))
    objects = [
        b"<< /Type /Catalog /Pages 2 0 R >>",
        f"<< /Type /Pages /Kids [{kids}] /Count {pages} >>".encode(),
        b"<< /Type /Font /Subtype /Type1 /BaseFont /Helvetica >>",
    ]
    for number in range(pages):
        objects += pdf_page(5 + 2 * number, f"{text} - page {number + 1}")
    return pdf_file(objects, trailer)


def pdf_page(content: int, text: str) -> list[bytes]:
    drawing = f"BT /F1 14 Tf 72 760 Td ({text}) Tj ET".encode("latin-1", "replace")
    return [
        f"<< /Type /Page /Parent 2 0 R /MediaBox [0 0 595 842] /Resources << /Font << /F1 3 0 R >> >> "
        f"/Contents {content} 0 R >>".encode(),
        b"<< /Length %d >>\nstream\n%s\nendstream" % (len(drawing), drawing),
    ]


def pdf_file(objects: list[bytes], trailer: str = "") -> bytes:
    written, places = b"%PDF-1.7\n%\xe2\xe3\xcf\xd3\n", []
    for number, body in enumerate(objects, 1):
        places.append(len(written))
        written += b"%d 0 obj\n%s\nendobj\n" % (number, body)
    table = "".join(f"{place:010d} 00000 n \n" for place in places)
    size = len(objects) + 1
    ending = f"xref\n0 {size}\n0000000000 65535 f \n{table}trailer\n<< /Size {size} /Root 1 0 R {trailer} >>\n"
    return written + f"{ending}startxref\n{len(written)}\n%%EOF\n".encode()


def locked_pdf() -> bytes:
    """Encrypted with a password nobody has: the check values are arbitrary."""
    key = "41" * 32
    return pdf(
        trailer=f"/ID [<{'00' * 16}> <{'00' * 16}>] "
        f"/Encrypt << /Filter /Standard /V 1 /R 2 /P -44 /O <{key}> /U <{key}> >>"
    )


def picture(width: int = 64, height: int = 48, shade: int = 40) -> Image.Image:
    image = Image.new("RGB", (width, height), (232, 238, 242))
    ImageDraw.Draw(image).rectangle((width // 4, height // 6, width * 3 // 4, height * 5 // 6), fill=(shade, 110, 160))
    return image


def encoded(image: Image.Image, form: str, others: Iterable[Image.Image] = (), **options: object) -> bytes:
    target = io.BytesIO()
    more = list(others)
    image.save(target, form, **({"save_all": True, "append_images": more} if more else {}), **options)
    return target.getvalue()


def png(width: int = 64, height: int = 48) -> bytes:
    return encoded(picture(width, height), "PNG")


def jpeg(width: int = 64, height: int = 48) -> bytes:
    return encoded(picture(width, height), "JPEG")


def webp(width: int = 64, height: int = 48) -> bytes:
    return encoded(picture(width, height), "WEBP")


def bmp() -> bytes:
    return encoded(picture(), "BMP")


def gif(frames: int = 1) -> bytes:
    return encoded(picture(), "GIF", (picture(shade=number % 250) for number in range(1, frames)))


def tiff(pages: int = 1) -> bytes:
    return encoded(picture(), "TIFF", (picture(shade=number % 250) for number in range(1, pages)))


def heic() -> bytes:
    """Drawn like `picture` and encoded once: the library the product uses only decodes."""
    return (FIXTURES / "scan.heic").read_bytes()


def dicom(name: str = "CT_small.dcm", preamble: bytes = b"") -> bytes:
    """One of the images that come with pydicom; `preamble` overwrites the beginning of the file."""
    with warnings.catch_warnings(action="ignore"):
        found = pydicom.data.get_testdata_file(name, download=False)
    data = Path(str(found)).read_bytes()
    return preamble + data[len(preamble) :]


def txt(text: str = "Fasting glucose 5.1 mmol/l. Repeat in three months.\n") -> bytes:
    return text.encode()


def csv(rows: int = 3) -> bytes:
    target = io.StringIO()
    commas.writer(target).writerows(
        [("date", "test", "value"), *((f"2024-03-0{1 + row % 9}", "HbA1c", "5.4") for row in range(rows))]
    )
    return target.getvalue().encode()


def json() -> bytes:
    return notation.dumps({"test": "HbA1c", "values": [5.4, 5.6], "unit": "%"}).encode()


def xml(body: str = "<result unit='mmol/l'>5.1</result>") -> bytes:
    return f"{XML_HEAD}<report>{body}</report>".encode()


def package(parts: dict[str, str | bytes], compression: int = zipfile.ZIP_DEFLATED) -> bytes:
    target = io.BytesIO()
    with zipfile.ZipFile(target, "w", compression) as archive:
        for name, content in parts.items():
            archive.writestr(name, content)
    return target.getvalue()


def content_types(part: str, media_type: str) -> str:
    return (
        f'{XML_HEAD}<Types xmlns="http://schemas.openxmlformats.org/package/2006/content-types">'
        '<Default Extension="rels" ContentType="application/vnd.openxmlformats-package.relationships+xml"/>'
        f'<Override PartName="/{part}" ContentType="{media_type}.main+xml"/></Types>'
    )


def relations(part: str, kind: str = "officeDocument") -> str:
    return (
        f'{XML_HEAD}<Relationships xmlns="{RELATIONS}"><Relationship Id="rId1" '
        f'Type="{OFFICE_RELATIONS}/{kind}" Target="{part}"/></Relationships>'
    )


def docx_parts(text: str = "Visit summary") -> dict[str, str | bytes]:
    return {
        "[Content_Types].xml": content_types("word/document.xml", WORD),
        "_rels/.rels": relations("word/document.xml"),
        "word/document.xml": f'{XML_HEAD}<w:document xmlns:w="http://schemas.openxmlformats.org/wordprocessingml/2006/'
        f'main"><w:body><w:p><w:r><w:t>{text}</w:t></w:r></w:p></w:body></w:document>',
    }


def xlsx_parts() -> dict[str, str | bytes]:
    main = "http://schemas.openxmlformats.org/spreadsheetml/2006/main"
    return {
        "[Content_Types].xml": content_types("xl/workbook.xml", SHEET).replace(
            "</Types>",
            '<Override PartName="/xl/worksheets/sheet1.xml" ContentType="application/vnd.openxmlformats-'
            'officedocument.spreadsheetml.worksheet+xml"/></Types>',
        ),
        "_rels/.rels": relations("xl/workbook.xml"),
        "xl/workbook.xml": f'{XML_HEAD}<workbook xmlns="{main}" xmlns:r="{OFFICE_RELATIONS}"><sheets>'
        '<sheet name="Results" sheetId="1" r:id="rId1"/></sheets></workbook>',
        "xl/_rels/workbook.xml.rels": relations("worksheets/sheet1.xml", "worksheet"),
        "xl/worksheets/sheet1.xml": f'{XML_HEAD}<worksheet xmlns="{main}"><sheetData><row r="1"><c r="A1">'
        "<v>5.4</v></c></row></sheetData></worksheet>",
    }


def docx() -> bytes:
    return package(docx_parts())


def xlsx() -> bytes:
    return package(xlsx_parts())


def compound(stream: str, content: bytes = b"") -> bytes:
    """A compound file (MS-CFB version 3) with one stream: header, FAT, directory, stream (8 sectors)."""
    sectors = 8
    header = struct.pack(
        "<8s16x5H6x9I", b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1", 0x3E, 3, 0xFFFE, 9, 6, 0, 1, 1, 0, 4096, END, 0, END, 0
    )
    table = [FAT, END, *range(3, 2 + sectors), END]
    return b"".join(
        (
            header,
            struct.pack("<109I", 0, *[FREE] * 108),
            struct.pack("<128I", *table, *[FREE] * (128 - len(table))),
            entry("Root Entry", 5, END, 0, child=1),
            entry(stream, 2, 2, 512 * sectors),
            bytes(256),
            content.ljust(512 * sectors, b"\0"),
        )
    )


def entry(name: str, kind: int, start: int, size: int, child: int = FREE) -> bytes:
    spelled = name.encode("utf-16-le")
    return struct.pack("<64sHBB3I16xI16xIQ", spelled, len(spelled) + 2, kind, 1, FREE, FREE, child, 0, start, size)


def doc() -> bytes:
    return compound("WordDocument", struct.pack("<2H", 0xA5EC, 0x00C1))


def xls() -> bytes:
    return compound("Workbook", struct.pack("<4H8x2H", 0x0809, 16, 0x0600, 0x0005, 0x000A, 0))


def png_file(width: int, height: int, depth: int, kind: int, lines: bytes, interlaced: bool = False) -> bytes:
    """Return a PNG of raw lines, each with its filter byte in front."""
    header = struct.pack(">2I5B", width, height, depth, kind, 0, 0, int(interlaced))
    chunks = ((b"IHDR", header), (b"IDAT", zlib.compress(lines)), (b"IEND", b""))
    return b"\x89PNG\r\n\x1a\n" + b"".join(
        struct.pack(">I", len(body)) + name + body + struct.pack(">I", zlib.crc32(name + body)) for name, body in chunks
    )


def png_header(width: int, height: int) -> bytes:
    """Return a PNG that claims a size and contains next to nothing."""
    return png_file(width, height, 8, 2, bytes(64))


def many_page_tiff(pages: int) -> bytes:
    """Grey single-pixel pages, each with its own directory."""
    tags = ((256, 1), (257, 1), (258, 8), (259, 1), (262, 1), (273, 0), (277, 1), (278, 1), (279, 1))
    size = 2 + 12 * len(tags) + 4
    directories = b""
    for page in range(pages):
        following = 8 + size * (page + 1) if page + 1 < pages else 0
        body = b"".join(struct.pack("<2H2I", tag, 4, 1, value) for tag, value in tags)
        directories += struct.pack("<H", len(tags)) + body + struct.pack("<I", following)
    return struct.pack("<2sHI", b"II", 42, 8) + directories


SAMPLES: dict[str, Callable[[], bytes]] = {
    ".pdf": pdf, ".jpg": jpeg, ".jpeg": jpeg, ".png": png, ".tiff": tiff, ".tif": tiff, ".bmp": bmp, ".gif": gif,
    ".txt": txt, ".csv": csv, ".xml": xml, ".json": json, ".doc": doc, ".docx": docx, ".xls": xls, ".xlsx": xlsx,
    ".heic": heic, ".dcm": dicom, ".webp": webp,
}  # fmt: skip
