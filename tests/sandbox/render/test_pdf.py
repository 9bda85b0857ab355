"""Pages of PDF documents: drawn as they are printed, forms filled in, at the width that was asked for."""

import pytest

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
        assert "protected with a password" in answer["reason"]


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
