"""Files made to hurt whoever opens them: each is answered with a picture or a reason, or costs one worker."""

import random
import struct
import zipfile
import zlib
from collections.abc import Callable
from contextlib import suppress

import pytest

from medfiles.sandbox import NotChecked
from tests import samples
from tests.previews.conftest import Previewer

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
PLACES = 50
LAUGHS = '<!DOCTYPE x [<!ENTITY a "ha">' + "".join(
    f'<!ENTITY {name} "{("&" + before + ";") * 10}">' for before, name in zip("abcdefghi", "bcdefghij", strict=True)
)


def is_answered(show: Previewer, data: bytes, media_type: str) -> None:
    facts, answer = show.look(data, media_type), show.answer(data, media_type, width=160)
    assert facts["kind"] != "none" or facts["reason"]
    assert answer.keys() & {"webp", "reason", "missing"}


@pytest.mark.parametrize("media_type", TYPES)
def test_a_file_that_is_cut_off_anywhere_is_answered(show: Previewer, media_type: str) -> None:
    whole, chance = TYPES[media_type](), random.Random(media_type)
    for _ in range(PLACES):
        is_answered(show, whole[: chance.randrange(len(whole))], media_type)


@pytest.mark.parametrize("media_type", TYPES)
def test_a_file_with_a_wrong_byte_anywhere_is_answered_or_costs_a_worker(show: Previewer, media_type: str) -> None:
    whole, chance = TYPES[media_type](), random.Random(media_type)
    for _ in range(PLACES // 3):
        data = bytearray(whole)
        data[chance.randrange(len(data))] ^= 1 << chance.randrange(8)
        with suppress(NotChecked):
            is_answered(show, bytes(data), media_type)
    assert show.look(whole, media_type)["kind"]


@pytest.mark.parametrize("media_type", TYPES)
def test_a_file_of_another_kind_is_answered(show: Previewer, media_type: str) -> None:
    for other in ("application/pdf", "image/png", "application/dicom", samples.WORD, "text/plain"):
        if other != media_type:
            is_answered(show, TYPES[other](), media_type)


def tiff_header(width: int, height: int) -> bytes:
    """One that says how large it is and holds a single strip of nothing."""
    tags = ((256, width), (257, height), (258, 8), (259, 1), (262, 1), (273, 8), (277, 1), (278, height), (279, 1))
    body = b"".join(struct.pack("<2H2I", tag, 4, 1, value) for tag, value in tags)
    return struct.pack("<2sHI", b"II", 42, 8) + struct.pack("<H", len(tags)) + body + bytes(4)


def svg() -> bytes:
    return b"<svg xmlns='http://www.w3.org/2000/svg'><script>alert(1)</script></svg>"


@pytest.mark.parametrize(
    ("data", "media_type"),
    [
        (samples.png_header(50_001, 50_001), "image/png"),
        (samples.png_header(2**31 - 1, 1), "image/png"),
        (tiff_header(60_000, 60_000), "image/tiff"),
        (b"GIF89a" + struct.pack("<2H3B", 65535, 65535, 0, 0, 0) + b";", "image/gif"),
        (
            b"BM"
            + struct.pack("<IHHI", 54, 0, 0, 54)
            + struct.pack("<IiiHHIIiiII", 40, 60000, 60000, 1, 24, 0, 0, 0, 0, 0, 0),
            "image/bmp",
        ),
    ],
    ids=["png", "long png", "tiff", "gif", "bmp"],
)
def test_a_picture_that_claims_to_be_huge_is_refused_by_its_header(
    show: Previewer, data: bytes, media_type: str
) -> None:
    assert show.look(data, media_type)["kind"] == "none"
    assert "reason" in show.answer(data, media_type)


def test_a_picture_as_large_as_is_accepted_is_drawn(show: Previewer) -> None:
    line = b"\0" + bytes(12_500)
    body = (
        (b"IHDR", struct.pack(">2I5B", 100_000, 1000, 1, 0, 0, 0, 0)),
        (b"IDAT", zlib.compress(line * 1000)),
        (b"IEND", b""),
    )
    data = b"\x89PNG\r\n\x1a\n" + b"".join(
        struct.pack(">I", len(part)) + name + part + struct.pack(">I", zlib.crc32(name + part)) for name, part in body
    )
    assert show.answer(data, "image/png", width=160)["width"] == 160


def test_entities_that_multiply_are_not_followed(show: Previewer) -> None:
    bomb = f"{samples.XML_HEAD}{LAUGHS}]><x>&j;</x>".encode()
    assert show.look(bomb, "application/xml")["text"] == bomb.decode()
    parts = samples.docx_parts() | {"word/document.xml": bomb}
    assert show.look(samples.package(parts), samples.WORD)["kind"] == "none"
    sheet = samples.xlsx_parts() | {"xl/worksheets/sheet1.xml": bomb}
    assert show.look(samples.package(sheet), samples.SHEET)["kind"] == "none"


def zip_bomb(parts: dict[str, str | bytes], name: str) -> bytes:
    """A part that grows to 100 MB while it is read."""
    head, _, tail = str(parts[name]).partition("</")
    return samples.package(parts | {name: head.encode() + b" " * (100 * 1024**2) + f"</{tail}".encode()})


@pytest.mark.parametrize("kind", [samples.WORD, samples.SHEET], ids=["docx", "xlsx"])
def test_an_archive_that_grows_beyond_measure_costs_a_worker_at_most(
    impatient: Callable[..., Previewer], kind: str
) -> None:
    parts, name = (
        (samples.docx_parts(), "word/document.xml")
        if kind == samples.WORD
        else (samples.xlsx_parts(), "xl/worksheets/sheet1.xml")
    )
    show = impatient()
    with suppress(NotChecked):
        is_answered(show, zip_bomb(parts, name), kind)
    assert show.look(samples.png(), "image/png")["kind"] == "image"


def test_a_sheet_with_one_cell_far_away_costs_a_worker_at_most(impatient: Callable[..., Previewer]) -> None:
    parts, show = samples.xlsx_parts(), impatient()
    sheet = str(parts["xl/worksheets/sheet1.xml"])
    far = sheet.replace("</row>", '</row><row r="1048576"><c r="XFD1048576"><v>1</v></c></row>')
    with suppress(NotChecked):
        is_answered(show, samples.package(parts | {"xl/worksheets/sheet1.xml": far}), samples.SHEET)
    assert show.look(samples.png(), "image/png")["kind"] == "image"


def test_a_document_that_draws_for_ever_costs_a_worker(impatient: Callable[..., Previewer]) -> None:
    """A pattern that is painted with itself, on a page full of it."""
    drawing = b"/Pattern cs /P1 scn 0 0 600 800 re f " * 2000
    pattern = (
        "<< /Type /Pattern /PatternType 1 /PaintType 1 /TilingType 1 /BBox [0 0 1 1] /XStep 0.01 /YStep 0.01 "
        "/Resources << /Pattern << /P1 5 0 R >> >> /Length {size} >>\nstream\n{drawing}\nendstream"
    )
    inner = "/Pattern cs /P1 scn 0 0 600 800 re f " * 200
    data = samples.pdf_file(
        [
            b"<< /Type /Catalog /Pages 2 0 R >>",
            b"<< /Type /Pages /Kids [3 0 R] /Count 1 >>",
            b"<< /Type /Page /Parent 2 0 R /MediaBox [0 0 600 800] /Contents 4 0 R "
            b"/Resources << /Pattern << /P1 5 0 R >> >> >>",
            b"<< /Length %d >>\nstream\n%s\nendstream" % (len(drawing), drawing),
            pattern.format(size=len(inner), drawing=inner).encode(),
        ]
    )
    show = impatient()
    with suppress(NotChecked):
        assert show.answer(data, "application/pdf", width=2400).keys() & {"webp", "reason"}
    assert show.look(samples.png(), "image/png")["kind"] == "image"


@pytest.mark.parametrize("media_type", ["image/png", "image/jpeg", "image/tiff", "image/heic", "application/pdf"])
def test_bytes_of_a_script_or_drawing_reach_no_decoder(show: Previewer, media_type: str) -> None:
    for data in (svg(), b"%!PS-Adobe-3.0 EPSF-3.0\n%%BoundingBox: 0 0 9 9\nshowpage\n", b"push graphic-context\n"):
        assert show.look(data, media_type)["kind"] == "none"
        assert "reason" in show.answer(data, media_type)


def test_a_package_of_another_kind_is_no_document(show: Previewer) -> None:
    with zipfile.ZipFile(show.path, "w") as archive:
        archive.writestr("anything.txt", "words")
    assert show.look(show.path.read_bytes(), samples.WORD)["kind"] == "none"
    assert show.look(show.path.read_bytes(), samples.SHEET)["kind"] == "none"
