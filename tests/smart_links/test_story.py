"""The PDFs of a SMART Health Link: what the story shows, what each document becomes, and what it costs."""

from contextlib import closing
from datetime import date
from io import BytesIO
from itertools import chain
from pathlib import Path

import pytest
from PIL import Image, ImageChops
from reportlab.pdfgen.canvas import Canvas

from medfiles.sandbox.pool import Limits, Sandbox
from medfiles.smart_links import story, typesetter
from tests.sandbox.render.bombs import TYPES, endless_drawing, huge_headers
from tests.sandbox.render.pixels import alike, at
from tests.sandbox.render.test_pdf import filled_form, page
from tests.smart_links.conftest import JPEG, PDF, PNG, Maker, pages, photo, pictures
from tests.support import samples

DICOM = "application/dicom"
LAYERS = (
    "/OC /Hidden BDC 0 0 1 rg 20 20 100 100 re f EMC /OC /Shown BDC 1 0 0 rg 150 20 100 100 re f EMC",
    "/Resources << /Properties << /Hidden 5 0 R /Shown 6 0 R >> >>",
)


def layered() -> bytes:
    drawing, resources = LAYERS
    switches = "/OCGs [5 0 R 6 0 R] /D << /OFF [5 0 R] /Order [5 0 R 6 0 R] >>"
    return samples.pdf_file(
        [
            f"<< /Type /Catalog /Pages 2 0 R /OCProperties << {switches} >> >>".encode(),
            b"<< /Type /Pages /Kids [3 0 R 7 0 R] /Count 2 >>",
            f"<< /Type /Page /Parent 2 0 R /MediaBox [0 0 300 200] {resources} /Contents 4 0 R >>".encode(),
            f"<< /Length {len(drawing)} >>\nstream\n{drawing}\nendstream".encode(),
            b"<< /Type /OCG /Name (Hidden) >>",
            b"<< /Type /OCG /Name (Shown) >>",
            f"<< /Type /Page /Parent 2 0 R /MediaBox [0 0 300 200] {resources} >>".encode(),
        ]
    )


def commented() -> bytes:
    """Saved after it was added to a document that was read, this crashes PDFium."""
    return samples.pdf_file(
        [
            b"<< /Type /Catalog /Pages 2 0 R >>",
            b"<< /Type /Pages /Kids [3 0 R] /Count 1 >>",
            b"<< /Type /Page /Parent 2 0 R /MediaBox [0 0 300 200] /Annots [4 0 R 5 0 R] >>",
            b"<< /Type /Annot /Subtype /Text /Rect [20 20 40 40] /Contents (Well) /P 3 0 R /Popup 5 0 R >>",
            b"<< /Type /Annot /Subtype /Popup /Rect [50 20 90 40] /Parent 4 0 R >>",
        ]
    )


def form() -> bytes:
    """A form whose fields are drawn, with a link and a turned page."""
    target = BytesIO()
    canvas = Canvas(target, pagesize=(300, 200))
    canvas.acroForm.textfield(name="name", x=20, y=100, width=150, height=20, value="Ella")
    canvas.acroForm.checkbox(name="fasting", x=20, y=50, checked=True)
    canvas.linkURL("https://medfiles.example", (200, 20, 280, 40), thickness=2)
    canvas.showPage()
    canvas.setPageRotation(90)
    canvas.drawString(20, 50, "Turned")
    canvas.save()
    return target.getvalue()


def scanned(count: int) -> bytes:
    first, *others = [Image.open(BytesIO(photo(1654, 2339, seed))) for seed in range(count)]
    return samples.encoded(first, "PDF", others, resolution=200)


def test_all_documents_follow_the_contents_in_their_order(make: Maker) -> None:
    made = make.story(
        make.paper(samples.pdf(3), PDF, "Blood count.pdf", "Visit · Letters", date(2026, 3, 1)),
        make.paper(samples.jpeg(), JPEG, "Rash.jpg"),
        make.paper(samples.txt(), "text/plain", "Notes.txt"),
    )
    first, *others = pages(made.story)
    assert ["Blood count, all values in range" in text for text in others] == [True] * 3 + [False] * 2
    assert "Fasting glucose" in others[4]
    for words in (
        "Documents of Ella Larsen", "Born 3 April 2019", "Shared by Nora on 29 November 2026", "last page",
        "Available until 6 December 2026", "Blood count.pdf", "Visit · Letters", "1 March 2026",
    ):  # fmt: skip
        assert words in first
    lines = first.splitlines()
    assert {"2", "5", "6"} <= {line.split()[-1] for line in lines if line.split()}
    assert "Not in this file" not in first


def test_contents_of_many_documents_count_their_own_pages(make: Maker) -> None:
    paper = make.paper(samples.pdf(2), PDF, "Letter.pdf", "Visit")
    texts = pages(make.story(*[paper] * 60).story)
    own = len(texts) - 120
    assert own > 1
    assert sum(text.count("Letter.pdf") for text in texts[:own]) == 60
    assert str(own + 1) in texts[0].split()


def test_documents_that_cannot_be_drawn_are_named_and_the_others_are_there(make: Maker) -> None:
    broken = [(samples.dicom(), DICOM), (samples.locked_pdf(), PDF), (b"%PDF-1.7 damaged", PDF), (b"GIF8", JPEG)]
    papers = [make.paper(data, kind) for data, kind in [*broken, (samples.xml(), "application/unknown")]]
    made = make.story(*papers, make.paper(samples.pdf(), PDF))
    assert made.documents[:-1] == [None] * 5
    first, second = pages(made.story)
    assert first.count("Not in this file") == 5
    assert "Blood count" in second


def test_no_documents_make_a_page_of_contents(make: Maker) -> None:
    [only] = pages(make.story(sender=None, note=None).story)
    assert "Shared on 29 November 2026" in only
    assert "Note" not in only


def test_a_pdf_stays_the_file_it_was(make: Maker) -> None:
    paper = make.paper(samples.pdf(2), PDF)
    assert make.story(paper).documents == [paper.original]
    assert paper.original.read_bytes() == samples.pdf(2)


def test_pages_of_a_pdf_look_the_same_in_the_story(make: Maker) -> None:
    turned = page("1 0 0 rg 0 0 150 200 re f", "/Rotate 90 /CropBox [10 10 200 150]")
    documents = [samples.pdf(3), turned, filled_form(), form(), layered(), commented()]
    _, *shown = pictures(make.story(*(make.paper(data, PDF) for data in documents)).story)
    for before, after in zip(chain.from_iterable(map(pictures, documents)), shown, strict=True):
        assert before.size == after.size
        different = ImageChops.difference(before, after).convert("L").point(lambda value: 255 * (value > 90))
        assert different.getbbox() is None


def test_a_hidden_layer_is_not_in_the_story(make: Maker) -> None:
    _, shown, _ = pictures(make.story(make.paper(layered(), PDF)).story)
    assert alike(at(shown, 0.2, 0.7), (255, 255, 255))
    assert alike(at(shown, 0.7, 0.7), (255, 0, 0))


def test_truncated_documents_cost_nothing_but_themselves(make: Maker) -> None:
    cut = [
        make.paper(data()[: len(data()) * part // 4], media_type)
        for media_type, data in TYPES.items()
        for part in (1, 2, 3)
    ]
    made = make.story(*cut, make.paper(samples.pdf(), PDF))
    assert "Blood count" in pages(made.story)[-1]


def test_a_picture_that_claims_to_be_huge_is_left_out(make: Maker) -> None:
    assert make.all_own(huge_headers().values()) == [None] * 5


def test_a_document_that_kills_its_worker_is_left_out(tmp_path: Path) -> None:
    tasks = tmp_path / "killing.py"
    tasks.write_text("import os\nTASKS = {'draw': lambda **arguments: os.abort()}")
    with closing(Sandbox(1, (*story.TASKS, str(tasks)), Limits())) as renderers:
        make = Maker(renderers, tmp_path)
        made = make.story(make.paper(samples.png(), PNG), make.paper(samples.pdf(), PDF))
        assert made.documents[0] is None
        assert "Blood count" in pages(made.story)[1]


def test_a_document_that_stops_the_merging_is_left_out(tmp_path: Path) -> None:
    tasks = tmp_path / "stopping.py"
    tasks.write_text(
        "import os\n"
        "from medfiles.sandbox.render import story\n"
        "def merge(file, **arguments):\n"
        "    if b'poison' in file.read(): os.abort()\n"
        "    file.seek(0)\n"
        "    return story.merge(file=file, **arguments)\n"
        "TASKS = {'merge': merge}\n"
    )
    with closing(Sandbox(1, (*story.TASKS, str(tasks)), Limits())) as renderers:
        make = Maker(renderers, tmp_path)
        good, bad = make.paper(samples.pdf(), PDF), make.paper(samples.pdf(text="poison"), PDF, "Letter.pdf")
        made = make.story(good, bad, make.paper(samples.txt(), "text/plain"))
        assert [bool(path) for path in made.documents] == [True, False, True]
        assert ["Not in this file" in text for text in pages(made.story)] == [True, False, False]


def test_a_worker_cannot_lie_about_what_it_wrote(tmp_path: Path) -> None:
    lies = {
        "image/png": {"size": 10**9, "pages": 1},
        "image/gif": {"size": -1, "pages": 1},
        "image/bmp": {"needs": 10**15},
        "image/webp": {"size": 5, "pages": "many"},
    }
    tasks = tmp_path / "lying.py"
    tasks.write_text(f"TASKS = {{'draw': lambda file, media_type, output: {lies}[media_type]}}")
    with closing(Sandbox(1, (*story.TASKS, str(tasks)), Limits())) as renderers:
        assert Maker(renderers, tmp_path).all_own((samples.png(), kind) for kind in lies) == [None] * 4


def test_words_that_cannot_be_typeset_leave_the_others(make: Maker, tmp_path: Path) -> None:
    tasks = tmp_path / "wrong.py"
    tasks.write_text("TASKS = {'words': lambda file, media_type, output: {'size': 5}}")
    with closing(Sandbox(1, (*story.TASKS, str(tasks)), Limits())) as renderers:
        make = Maker(renderers, tmp_path)
        made = make.story(make.paper(samples.txt(), "text/plain"), make.paper(samples.pdf(), PDF))
        assert made.documents[0] is None
        assert "Blood count" in pages(made.story)[1]


def test_an_endless_drawing_costs_nothing_because_it_is_not_drawn(make: Maker) -> None:
    paper = make.paper(endless_drawing(), PDF)
    assert make.story(paper).documents == [paper.original]


def test_a_typesetter_that_fails_is_an_error_in_words(make: Maker, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(typesetter, "PROGRAM", "raise SystemExit(1)")
    with pytest.raises(typesetter.StoryFailed, match="could not be put together"):
        make.story(make.paper(samples.txt(), "text/plain"))


def test_fifteen_megabytes_cost_little_memory_here(make: Maker) -> None:
    papers = [make.paper(photo(seed=seed), JPEG) for seed in range(3)]
    papers += [make.paper(scanned(3), PDF)] * 3
    assert sum(paper.original.stat().st_size for paper in papers) > 14 * 1024**2
    make.own(samples.pdf(), PDF)  # starts the worker
    before = high_water_mark()
    made = make.story(*papers)
    assert high_water_mark() - before < 16 * 1024**2
    assert None not in made.documents


def high_water_mark() -> int:
    """Return the most memory that this process held since the last call, in bytes."""
    status = Path("/proc/self/status").read_text()
    [line] = [line for line in status.splitlines() if line.startswith("VmHWM")]
    Path("/proc/self/clear_refs").write_text("5")
    return int(line.split()[1]) * 1024
