"""Contents that are not what their name says, are two things at once, or grow."""

from collections.abc import Callable, Iterator
from functools import cache, partial

from werkzeug.test import TestResponse

from medfiles.record_types.declared import LAB_RESULT, PROCEDURE
from medfiles.record_types.media_types import BY_EXTENSION
from tests.documents.test_detection import PROGRAMS, TEXTS
from tests.proof.corpus import archives
from tests.proof.corpus.desk import Desk, Input, statuses
from tests.sandbox.render import bombs
from tests.sandbox.test_inspect import deflated_dicom, nested_sequences
from tests.support import samples
from tests.support.api_client import end
from tests.support.samples import SAMPLES, SHEET, WORD

TAKEN, REFUSED, EITHER = statuses(201), statuses(415, 422), statuses(201, 415, 422)
DECLARED = ("", "text/html", "image/svg+xml; charset=utf-7", "application/x-msdownload")
SCRIPT = b"<script>alert(document.cookie)</script>"
TAILS = {
    "a web page": b"<html><body>" + SCRIPT,
    "a script": b"\n*/=1;alert(1)//",
    "a ZIP": samples.package({"evil.html": "<script>alert(1)</script>"}),
    "a program": b"MZ" + bytes(200) + b"PE\0\0",
    "PHP": b"<?php system($_GET['c']); ?>",
    "a PDF": samples.pdf(),
    "zeros": bytes(4096),
}
HEADS = {
    **PROGRAMS,
    "Mach-O": b"\xfe\xed\xfa\xcf" + bytes(60),
    "Java": b"\xca\xfe\xba\xbe\0\0\0\x34" + bytes(60),
    "a script tag": SCRIPT,
    "a PHP tag": b"<?php echo 1; ?>",
    "PostScript": b"%!PS-Adobe-3.0\n",
    "WebAssembly": b"\0asm\1\0\0\0",
    "a shortcut": b"L\0\0\0\x01\x14\x02\0",
}
MARKS = {
    "a blank line": b"\n",
    "a byte order mark": b"\xef\xbb\xbf",
    "a zero": b"\0",
    "a GIF's beginning": b"GIF89a/*",
    "a JPEG's beginning": b"\xff\xd8\xff\xe0/*",
    "a PDF's beginning": b"%PDF-1.7\n",
    "a ZIP's beginning": b"PK\3\4",
    "1 KiB of spaces": b" " * 1024,
}
BLANK = ("a blank line", "a byte order mark", "a zero", "1 KiB of spaces")  # allowed in front of a PDF
PREAMBLES = {**HEADS, **MARKS, "TIFF": b"II*\0", "TIFF, other end first": b"MM\0*"}
LAWFUL_PREAMBLES = ("TIFF", "TIFF, other end first", "a zero")


def kind_of(extension: str) -> str:
    return "procedure" if extension == ".dcm" else "lab-result"


def is_accepted(inside: str, extension: str) -> bool:
    """Whether the record that the extension is sent to takes the content, under whichever name."""
    accepts = (PROCEDURE if kind_of(extension) == "procedure" else LAB_RESULT).takes
    return bool({*BY_EXTENSION[inside].extensions, *((".txt",) if inside in TEXTS else ())} & set(accepts))


def paper(
    what: str, extension: str, make: Callable[[], bytes], right: frozenset[int] = EITHER, *, looked_at: bool = False
) -> Input:
    """A document sent as it is, under a name with this extension. Some are made with the time in them: made once."""
    make = cache(make)

    def send(desk: Desk) -> TestResponse:
        return desk.upload(f"paper{extension}", make(), kind_of(extension))

    return Input(f"{what} as {extension}", send, right, stores=True, content=make, looked_at=looked_at)


def joined(*parts: bytes | Callable[[], bytes]) -> bytes:
    return b"".join(part if isinstance(part, bytes) else part() for part in parts)


def matrix() -> Iterator[Input]:
    """Every type under every extension, with media types that claim something else again."""
    for inside, sample in SAMPLES.items():
        make = cache(sample)  # some have the time in them
        for extension in SAMPLES:
            right = TAKEN if is_accepted(inside, extension) else statuses(415)
            for declared in DECLARED:
                name = f"{inside} as {extension}, declared {declared or 'nothing'}"
                send = partial(_by_form, f"paper{extension}", kind_of(extension), make, declared)
                yield Input(name, send, right, stores=True, content=make)


def _by_form(name: str, kind: str, make: Callable[[], bytes], declared: str, desk: Desk) -> TestResponse:
    line = f"Content-Type: {declared}\r\n" if declared else ""
    head = f'--b\r\nContent-Disposition: form-data; name="file"; filename="{name}"\r\n{line}\r\n'
    return desk.by.form(f"/{kind}/{desk.records[kind]}/files", head.encode() + make() + b"\r\n" + end())


def polyglots() -> Iterator[Input]:
    """Two things at once: something in front, something behind, something in the free part of DICOM."""
    for extension, make in SAMPLES.items():
        for what, head in HEADS.items():
            yield paper(f"{what} in front", extension, partial(joined, head, make), REFUSED)
        for what, mark in MARKS.items():
            is_blank = extension == ".pdf" and what in BLANK
            right = TAKEN if is_blank else EITHER if extension in TEXTS or mark.startswith(make()[:5]) else REFUSED
            yield paper(f"{what} in front", extension, partial(joined, mark, make), right)
        for what, tail in TAILS.items():
            yield paper(f"{what} behind", extension, partial(joined, make, tail))
    for what, preamble in PREAMBLES.items():
        right = TAKEN if what in LAWFUL_PREAMBLES else EITHER if what in MARKS else REFUSED
        yield paper(f"{what} in the preamble", ".dcm", partial(samples.dicom, preamble=preamble[:128]), right)


def growing() -> Iterator[Input]:
    """What is small and becomes large, or never ends."""
    unsafe = statuses(415, 422)
    for name, (data, media_type) in bombs.huge_headers().items():
        extension = {"image/tiff": ".tiff"}.get(media_type, f".{media_type.rpartition('/')[2]}")
        yield paper(f"claims to be huge: {name}", extension, partial(bytes, data), unsafe)
    yield paper("as large as is accepted", ".png", bombs.largest_png, TAKEN, looked_at=True)
    yield paper("entities that multiply", ".xml", lambda: bombs.LAUGHING, unsafe)
    yield paper("entities", ".docx", bombs.laughing_docx)
    yield paper("entities", ".xlsx", bombs.laughing_xlsx)
    yield paper("a part of 100 MB", ".docx", partial(bombs.growing, WORD), looked_at=True)
    yield paper("a part of 100 MB", ".xlsx", partial(bombs.growing, SHEET), looked_at=True)
    yield paper("a cell far away", ".xlsx", bombs.far_cell, looked_at=True)
    yield paper("drawn for ever", ".pdf", bombs.endless_drawing, looked_at=True)
    yield paper("locked", ".pdf", samples.locked_pdf, TAKEN, looked_at=True)
    yield paper("a circle of pages", ".pdf", circle_of_pages, looked_at=True)
    yield paper("pages that are not there", ".pdf", many_pages, looked_at=True)
    yield paper("64 MB packed", ".dcm", partial(deflated_dicom, 64 * 1024**2))
    for size in (300, 500):
        yield paper(f"{size} MB packed", ".dcm", partial(deflated_dicom, size * 1024**2), unsafe)
    for depth in (10, 100, 1000, 10_000):
        yield paper(f"{depth} sequences deep", ".dcm", partial(nested_sequences, depth))
    for pages in (100, 1000, 10_000):
        yield paper(f"{pages} pages", ".tiff", partial(samples.many_page_tiff, pages), looked_at=True)
    for depth in (100, 10_000, 1_000_000):
        yield paper(f"{depth} lists deep", ".json", partial(joined, b"[" * depth, b"]" * depth))
        yield paper(f"{depth} elements deep", ".xml", partial(joined, b"<a>" * depth, b"</a>" * depth))
    for digits in (1000, 1_000_000):
        yield paper(f"{digits} digits", ".json", partial(joined, b"[", b"9" * digits, b"]"))
    yield paper("a package inside, as charts have", ".docx", partial(archives.nested, 1))
    for what, make in archives.ATTACKS.items():
        yield paper(what, ".docx", make, unsafe)


def circle_of_pages() -> bytes:
    tree = b"<< /Type /Pages /Kids [2 0 R 2 0 R] /Count 9 >>"
    return samples.pdf_file([b"<< /Type /Catalog /Pages 2 0 R >>", tree])


def many_pages() -> bytes:
    return samples.pdf().replace(b"/Count 1", b"/Count 2000000000")
