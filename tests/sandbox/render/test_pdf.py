"""Pages of PDF documents: drawn as they are printed, forms filled in, at the width that was asked for."""

from io import BytesIO

import pypdfium2
import pytest
from PIL import Image

from tests.sandbox.render.conftest import Previewer
from tests.sandbox.render.pixels import alike, at
from tests.support import samples

PDF = "application/pdf"
RED, BLUE = (255, 0, 0), (0, 0, 255)


def page(drawing: str, more: str = "", box: str = "0 0 300 200") -> bytes:
    """One page, 300 × 200 points, with this drawing on it."""
    stream = drawing.encode()
    return samples.pdf_file(
        [
            b"<< /Type /Catalog /Pages 2 0 R >>",
            b"<< /Type /Pages /Kids [3 0 R] /Count 1 >>",
            f"<< /Type /Page /Parent 2 0 R /MediaBox [{box}] /Contents 4 0 R {more} >>".encode(),
            b"<< /Length %d >>\nstream\n%s\nendstream" % (len(stream), stream),
        ]
    )


def filled_form() -> bytes:
    """A text field whose value was entered and never drawn by the program that saved it."""
    field = "/Type /Annot /Subtype /Widget /FT /Tx /T (Name) /V (Ella) /Rect [20 20 280 180] /F 4"
    field += " /DA (/Helv 120 Tf 0 g)"
    font = "<< /Type /Font /Subtype /Type1 /BaseFont /Helvetica >>"
    return samples.pdf_file(
        [
            f"<< /Type /Catalog /Pages 2 0 R /AcroForm << /Fields [4 0 R] /NeedAppearances true "
            f"/DR << /Font << /Helv {font} >> >> /DA (/Helv 0 Tf 0 g) >> >>".encode(),
            b"<< /Type /Pages /Kids [3 0 R] /Count 1 >>",
            b"<< /Type /Page /Parent 2 0 R /MediaBox [0 0 300 200] /Annots [4 0 R] >>",
            f"<< {field} /P 3 0 R >>".encode(),
        ]
    )


def test_a_page_shows_what_was_drawn_on_it(show: Previewer) -> None:
    data = page("1 0 0 rg 0 0 150 200 re f 0 0 1 rg 150 100 150 100 re f")
    facts = show.look(data, PDF)
    assert (facts["kind"], facts["pages"], facts["width"], facts["height"]) == ("pages", 1, 400, 267)
    for width in (160, 480, 960):
        picture = show.picture(data, PDF, width=width)
        assert picture.size == (width, -(-width * 2 // 3))
        assert alike(at(picture, 0.2, 0.5), RED)
        assert alike(at(picture, 0.8, 0.2), BLUE)
        assert alike(at(picture, 0.8, 0.8), (255, 255, 255))


def test_a_turned_page_is_shown_turned(show: Previewer) -> None:
    data = page("1 0 0 rg 0 0 300 100 re f", "/Rotate 90")
    picture = show.picture(data, PDF, width=480)
    assert picture.size == (480, 720)
    assert alike(at(picture, 0.2, 0.5), RED)
    assert alike(at(picture, 0.8, 0.5), (255, 255, 255))


def test_what_was_entered_into_a_form_is_shown(show: Previewer) -> None:
    picture = show.picture(filled_form(), PDF).convert("L")
    dark = sum(picture.histogram()[:100])
    assert dark > 500


def test_every_page_is_drawn_by_its_number(show: Previewer) -> None:
    data = samples.pdf(pages=12)
    assert show.look(data, PDF)["pages"] == 12
    drawn = {show.webp(data, PDF, number) for number in (1, 2, 10, 12)}
    assert len(drawn) == 4
    assert show.answer(data, PDF, 13) == {"missing": True}


def test_a_locked_document_says_so(show: Previewer) -> None:
    for answer in (show.look(samples.locked_pdf(), PDF), show.answer(samples.locked_pdf(), PDF)):
        assert "locked with a password" in answer["reason"]


@pytest.mark.parametrize("data", [samples.pdf()[:200], b"%PDF-1.7\n", b"%PDF-1.4 nothing but words"])
def test_a_broken_document_says_so(show: Previewer, data: bytes) -> None:
    assert show.look(data, PDF)["kind"] == "none"
    assert "damaged" in show.look(data, PDF)["reason"]


@pytest.mark.parametrize("box", ["0 0 1 20000", "0 0 20000 1", "0 0 0 0", "0 0 1e30 1e30", "5 5 1 1"])
def test_no_size_of_a_page_is_too_much(show: Previewer, box: str) -> None:
    answer = show.answer(page("", box=box), PDF, width=2400)
    assert "reason" in answer or answer["width"] * answer["height"] <= 2400 * 6000


def test_a_hundred_thousand_pages_are_refused_without_counting_them_one_by_one(show: Previewer) -> None:
    many = samples.pdf().replace(b"/Kids [4 0 R]", b"/Kids [" + b"4 0 R " * 100_000 + b"]")
    assert show.look(many.replace(b"/Count 1", b"/Count 100000"), PDF)["kind"] == "none"


def test_pages_that_hold_each_other_end(show: Previewer) -> None:
    data = samples.pdf().replace(b"/Parent 2 0 R", b"/Parent 4 0 R").replace(b"/Kids [4 0 R]", b"/Kids [2 0 R]")
    answers = (show.look(data, PDF), show.answer(data, PDF))
    assert all("reason" in answer or "webp" in answer for answer in answers)


def worded(font: str, words: str, *others: bytes, more: str = "") -> bytes:
    """One page with a line of text in this font, which the file does not contain."""
    stream = f"{more} BT /F1 24 Tf 20 60 Td {words} Tj ET".encode()
    return samples.pdf_file(
        [
            b"<< /Type /Catalog /Pages 2 0 R >>",
            b"<< /Type /Pages /Kids [4 0 R] /Count 1 >>",
            f"<< /Type /Font {font} >>".encode(),
            b"<< /Type /Page /Parent 2 0 R /MediaBox [0 0 400 120] "
            b"/Resources << /Font << /F1 3 0 R >> >> /Contents 5 0 R >>",
            b"<< /Length %d >>\nstream\n%s\nendstream" % (len(stream), stream),
            *others,
        ]
    )


def asian(name: str, encoding: str, ordering: str, words: str) -> bytes:
    font = f"/Subtype /Type0 /BaseFont /{name} /Encoding /{encoding} /DescendantFonts [6 0 R]"
    system = f"/CIDSystemInfo << /Registry (Adobe) /Ordering ({ordering}) /Supplement 2 >>"
    descendant = f"<< /Type /Font /Subtype /CIDFontType2 /BaseFont /{name} {system} /FontDescriptor 7 0 R /DW 1000 >>"
    descriptor = f"<< /Type /FontDescriptor /FontName /{name} /Flags 4 /FontBBox [0 -200 1000 900] /StemV 80 >>"
    return worded(font, words, descendant.encode(), descriptor.encode())


def named(font: str, *glyphs: str, kind: str = "Type1") -> bytes:
    """Text in a simple font whose encoding names these glyphs."""
    names = " ".join(f"/{glyph}" for glyph in glyphs)
    codes = bytes(range(65, 65 + len(glyphs))).decode()
    return worded(f"/Subtype /{kind} /BaseFont /{font} /Encoding << /Differences [65 {names}] >>", f"({codes})")


def inked(picture: Image.Image) -> int:
    """Return how many pixels are dark."""
    return sum(picture.convert("L").histogram()[:128])


ASIAN = {
    "Japanese": asian("MSGothic", "UniJIS-UCS2-H", "Japan1", "<65E5672C8A9E>"),
    "Japanese, Shift JIS": asian("HeiseiKakuGo-W5", "90ms-RKSJ-H", "Japan1", "<93FA967B8CEA>"),
    "Korean": asian("Batang", "UniKS-UCS2-H", "Korea1", "<D55CAD6DC5B4>"),
    "simplified Chinese": asian("SimSun", "GBK-EUC-H", "GB1", "<D6D0B9FACEC4>"),
    "traditional Chinese": asian("MingLiU", "ETen-B5-H", "CNS1", "<A4A4A4E5A672>"),
}
OTHER = {
    "Cyrillic": ("afii10017", "afii10065", "uni0416"),
    "Greek": ("Alpha", "Omega", "lambda"),
    "Hebrew": ("afii57664", "afii57665", "uni05D2"),
}


@pytest.mark.parametrize("script", ASIAN)
def test_asian_text_without_its_font_is_drawn(show: Previewer, script: str) -> None:
    answer = show.answer(ASIAN[script], PDF)
    assert inked(show.picture(ASIAN[script], PDF)) > 200
    assert (answer["note"], show.look(ASIAN[script], PDF)["note"]) == (None, None)


@pytest.mark.parametrize("font", ["Helvetica", "Helvetica-Bold", "Times-Roman", "Calibri", "Courier"])
@pytest.mark.parametrize("script", OTHER)
def test_text_in_other_scripts_without_its_font_is_drawn(show: Previewer, script: str, font: str) -> None:
    data = named(font, *OTHER[script])
    assert inked(show.picture(data, PDF)) > 100
    assert show.answer(data, PDF)["note"] is None


def test_latin_text_keeps_its_looks_after_a_page_in_another_script(show: Previewer) -> None:
    latin = named("Times-Roman", "A", "g", "odieresis")
    before = show.webp(latin, PDF)
    show.webp(named("Times-Roman", *OTHER["Cyrillic"]), PDF)
    assert show.webp(latin, PDF) == before


@pytest.mark.parametrize("glyphs", [("uni0E01", "uni0E02"), ("uni0915", "A")], ids=["Thai", "Devanagari and Latin"])
def test_characters_no_font_has_are_named(show: Previewer, glyphs: tuple[str, ...]) -> None:
    data = named("Helvetica", *glyphs)
    assert "cannot be shown" in show.look(data, PDF)["note"]
    assert show.answer(data, PDF)["note"] == show.look(data, PDF)["note"]


def test_letters_that_stand_for_pictures_are_named(show: Previewer) -> None:
    assert "wrong characters" in show.look(named("Wingdings", "A", "B", kind="TrueType"), PDF)["note"]
    assert show.look(worded("/Subtype /Type1 /BaseFont /ZapfDingbats", "(4)"), PDF)["note"] is None


def test_codes_that_stand_for_unknown_characters_are_named(show: Previewer) -> None:
    assert "wrong characters" in show.look(asian("Arial", "Identity-H", "Identity", "<00240025>"), PDF)["note"]


def test_a_page_whose_text_draws_blank_is_not_shown(show: Previewer) -> None:
    covered = worded("/Subtype /Type1 /BaseFont /Helvetica", "(Ella) Tj ET 1 1 1 rg 0 0 400 120 re f BT ()")
    assert "cannot be shown" in show.answer(covered, PDF)["reason"]
    clipped = worded("/Subtype /Type1 /BaseFont /Helvetica", "(Ella)", more="0 0 1 1 re W n")
    assert "cannot be shown" in show.answer(clipped, PDF)["reason"]


@pytest.mark.parametrize("hidden", ["3 Tr", "1 1 1 rg", "7 Tr"])
def test_a_page_with_only_hidden_text_is_shown_blank(show: Previewer, hidden: str) -> None:
    data = worded("/Subtype /Type1 /BaseFont /Helvetica", "(Ella)", more=hidden)
    assert inked(show.picture(data, PDF)) == 0


def xfa(more: str, words: str = "Please wait") -> bytes:
    drawing = f"BT /F1 24 Tf 20 60 Td ({words}) Tj ET".encode()
    return samples.pdf_file(
        [
            f"<< /Type /Catalog /Pages 2 0 R {more} /AcroForm << /Fields [] /XFA 6 0 R >> >>".encode(),
            b"<< /Type /Pages /Kids [4 0 R] /Count 1 >>",
            b"<< /Type /Font /Subtype /Type1 /BaseFont /Helvetica >>",
            b"<< /Type /Page /Parent 2 0 R /MediaBox [0 0 400 120] "
            b"/Resources << /Font << /F1 3 0 R >> >> /Contents 5 0 R >>",
            b"<< /Length %d >>\nstream\n%s\nendstream" % (len(drawing), drawing),
            b"<< /Length 11 >>\nstream\n<xdp></xdp>\nendstream",
        ]
    )


def test_a_form_only_adobe_reader_can_show_is_named(show: Previewer) -> None:
    for data in (xfa("/NeedsRendering true", "Words"), xfa("")):
        facts = show.look(data, PDF)
        assert (facts["kind"], "This form needs Adobe Reader" in facts["reason"]) == ("none", True)
    assert "Adobe Reader" in show.look(xfa("", "Surname"), PDF)["note"]


def test_attached_files_are_listed(show: Previewer) -> None:
    document = pypdfium2.PdfDocument(samples.pdf())
    for name in ("scan.png", "bill.pdf"):
        document.new_attachment(name).set_data(b"content")
    target = BytesIO()
    document.save(target)
    assert "Attached files are not shown: bill.pdf and scan.png." in show.look(target.getvalue(), PDF)["note"]


@pytest.mark.parametrize("pages", [1, 3])
def test_a_note_on_a_later_page_is_said_of_the_document(show: Previewer, pages: int) -> None:
    document = pypdfium2.PdfDocument(samples.pdf(pages))
    document.import_pages(pypdfium2.PdfDocument(named("Helvetica", "uni0E01", "uni0E02")))
    target = BytesIO()
    document.save(target)
    data = target.getvalue()
    assert "cannot be shown" in show.look(data, PDF)["note"]
    assert show.answer(data, PDF, page=1)["note"] is None
    assert "cannot be shown" in show.answer(data, PDF, page=pages + 1)["note"]
