"""Engines find words and where they are; whatever they answer is put in reading order."""

from collections.abc import Iterator
from dataclasses import replace
from io import BytesIO
from pathlib import Path

import pytest
from PIL import Image, ImageDraw, ImageFont

from medfiles.database.session import transaction
from medfiles.jobs import queue as jobs
from medfiles.operations import integrity, worker
from medfiles.sandbox.pool import NotChecked, Sandbox
from medfiles.search import checking
from medfiles.search.query import SearchQuery
from medfiles.texts import recognition
from medfiles.texts.layout import in_reading_order
from medfiles.texts.recognition import RapidOcr, Tesseract, engine_for, lines_in, lines_of
from tests.support.factories import World

TABLE = """level\tpage_num\tblock_num\tpar_num\tline_num\tword_num\tleft\ttop\twidth\theight\tconf\ttext
1\t1\t0\t0\t0\t0\t0\t0\t1000\t500\t-1\t
4\t1\t1\t1\t1\t0\t100\t50\t300\t20\t-1\t
5\t1\t1\t1\t1\t1\t100\t50\t100\t20\t96.1\tHämoglobin
5\t1\t1\t1\t1\t2\t250\t50\t50\t20\t31.0\t~|
5\t1\t1\t1\t2\t1\t100\t100\t40\t20\t90.0\t"13,5
"""


def photo(*lines: str, turned: bool = False) -> bytes:
    """A picture of these lines; `turned`: lying on its side, as EXIF says."""
    picture = Image.new("RGB", (900, 120 * len(lines) + 40), "white")
    for number, line in enumerate(lines):
        ImageDraw.Draw(picture).text((60, 40 + 120 * number), line, "black", ImageFont.load_default(48))
    target, exif = BytesIO(), Image.Exif()
    if turned:
        picture, exif[0x0112] = picture.rotate(90, expand=True), 6
    picture.save(target, "PNG", exif=exif)
    return target.getvalue()


@pytest.fixture(scope="module")
def rapidocr() -> Iterator[RapidOcr]:
    limits = replace(recognition.LIMITS, nice=0, require_confinement=True)
    engine = RapidOcr(Sandbox(1, recognition.TASKS, limits))
    yield engine
    engine.close()


def test_rapidocr_reads_a_photo_the_right_way_up_in_the_sandbox(rapidocr: RapidOcr, tmp_path: Path) -> None:
    path = tmp_path / "photo"
    path.write_bytes(photo("Haemoglobin 13.5 g/dl", "Kreatinin 0,9 mg/dl", turned=True))
    text, words = in_reading_order(rapidocr.recognize(path, "image/png", 1))
    assert text == "Haemoglobin 13.5 g/dl\nKreatinin 0,9 mg/dl"
    first = words[0]
    assert first.text == "Haemoglobin"
    assert [first.x, first.y] == pytest.approx([60 / 900, 0.16], abs=0.06)
    assert 0.05 < first.height < 0.25 < first.width < 0.5


def test_a_page_that_is_upside_down_is_read_with_its_places(rapidocr: RapidOcr, tmp_path: Path) -> None:
    path, target = tmp_path / "photo", BytesIO()
    Image.open(BytesIO(photo("Haemoglobin 13.5 g/dl", "Kreatinin 0,9 mg/dl"))).rotate(180).save(target, "PNG")
    path.write_bytes(target.getvalue())
    _, words = in_reading_order(rapidocr.recognize(path, "image/png", 1))
    places = {word.text: [word.x + word.width, word.y + word.height] for word in words}
    assert places["Haemoglobin"] == pytest.approx([1 - 60 / 900, 0.84], abs=0.08)


def test_what_cannot_be_opened_is_not_read(rapidocr: RapidOcr, tmp_path: Path) -> None:
    path = tmp_path / "photo"
    path.write_bytes(photo("Text")[:60])
    with pytest.raises(NotChecked):
        rapidocr.recognize(path, "image/png", 1)


def test_tesseract_answers_with_a_table() -> None:
    text, words = in_reading_order(lines_in(TABLE))
    assert text == 'Hämoglobin\n"13,5'
    assert words[0] == ("Hämoglobin", 0.1, 0.1, 0.1, 0.04)


def test_tesseract_gets_a_drawn_picture_and_no_environment(renderers: Sandbox, tmp_path: Path) -> None:
    program, asked, path = tmp_path / "tesseract", tmp_path / "asked", tmp_path / "photo"
    program.write_text(
        f"#!/bin/sh\nif [ \"$1\" = --list-langs ]; then printf 'List of languages\\ndeu\\neng\\nosd\\n'; exit; fi\n"
        f'(echo "$@"; env; head -c 4 | tail -c 3) > {asked}\ncat {tmp_path}/table\n'
    )
    program.chmod(0o755)
    (tmp_path / "table").write_text(TABLE)
    path.write_bytes(photo("Text"))
    assert in_reading_order(Tesseract(str(program), renderers).recognize(path, "image/png", 1))[0].startswith("Hämo")
    said = asked.read_text().splitlines()
    assert said[0] == "stdin stdout -l eng+deu tsv"
    assert said[-1] == "PNG"
    assert not [line for line in said if line.startswith(("HOME=", "MEDFILES_", "USER="))]


def test_lines_are_read_from_top_to_bottom_and_from_left_to_right() -> None:
    lines = lines_of(
        {
            "lines": [
                [["right", 0.9, 0.6, 0.101, 0.1, 0.02]],
                [["below", 0.9, 0.1, 0.2, 0.1, 0.02], ["doubtful", 0.2, 0.3, 0.2, 0.1, 0.02]],
                [["left", 0.9, 0.1, 0.1, 0.1, 0.02]],
            ]
        }
    )
    assert in_reading_order(lines)[0] == "left right\nbelow"


@pytest.mark.parametrize("answer", [{}, {"lines": [[["word", "x"]]]}, {"lines": [[["word", "much", 0, 0, 0, 0]]]}])
def test_a_worker_that_answers_something_else_is_not_believed(answer: dict[str, object]) -> None:
    with pytest.raises(NotChecked):
        lines_of(answer)


def test_the_engine_is_the_one_that_is_chosen_and_installed(
    renderers: Sandbox, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("shutil.which", lambda _: "/usr/bin/tesseract")
    names = {choice: engine_for(choice, renderers) for choice in recognition.CHOICES}
    assert {choice: engine and engine.name for choice, engine in names.items()} == {
        "auto": "rapidocr", "rapidocr": "rapidocr", "tesseract": "tesseract", "off": None,
    }  # fmt: skip
    monkeypatch.setattr(recognition, "has_rapidocr", lambda: False)
    assert isinstance(engine_for("auto", renderers), Tesseract)
    assert engine_for("rapidocr", renderers) is None


@pytest.mark.database
def test_the_queue_has_a_photo_recognized_and_its_words_are_found(world: World, rapidocr: RapidOcr) -> None:
    world.app.extensions["medfiles"] = replace(world.parts, engine=rapidocr)
    file = world.attach(world.record("lab-result"), "photo.png", photo("Kreatinin 0,9 mg/dl"))
    with transaction():
        jobs.enqueue(jobs.TEXT, file.id)
    assert worker.run_next(world.app)
    [hit] = world.searches().search(SearchQuery("kreatinin"), 10).items
    assert hit.excerpt is not None
    assert (hit.subject_id, hit.excerpt.page, len(hit.excerpt.boxes)) == (file.id, 1, 1)
    assert world.texts().page(file.id, 1).source == "ocr"
    assert integrity.verify(world.parts.storages).findings == []
    assert checking.check(world.parts.registry).problems == []
