"""Texts are read page by page by jobs, kept by hash, shown to whom the document is shown, and gone with it."""

from collections.abc import Sequence
from dataclasses import replace
from datetime import date
from io import BytesIO
from pathlib import Path
from typing import Any

import pypdfium2
import pytest
from reportlab.pdfgen.canvas import Canvas
from sqlalchemy import select, update

from medfiles.database.session import db, transaction
from medfiles.errors import BeingRead, NotFound
from medfiles.jobs import queue as jobs
from medfiles.models import EntityFile, Job, PageText, User
from medfiles.operations import integrity, reading, worker
from medfiles.sandbox.pool import NotChecked
from medfiles.texts import store
from medfiles.texts.layout import Line
from medfiles.texts.reading import Reader
from tests.support import samples
from tests.support.factories import World

pytestmark = pytest.mark.database


def letter(*pages: str) -> bytes:
    """A PDF with one line of text on each page, an inch from the left and two inches from the top."""
    target = BytesIO()
    canvas = Canvas(target, pagesize=(600, 800), invariant=True)
    for text in pages:
        if text:
            canvas.setFont("Helvetica", 20)
            canvas.drawString(60, 640, text)
        else:
            canvas.rect(10, 10, 100, 100)
        canvas.showPage()
    canvas.save()
    return target.getvalue()


def turned(pdf: bytes, degrees: int) -> bytes:
    target = BytesIO()
    with pypdfium2.PdfDocument(pdf) as document:
        document[0].set_rotation(degrees)
        document.save(target)
    return target.getvalue()


class Typist:
    """An engine that reads the same words everywhere, or fails."""

    name = "typist"

    def __init__(self, *failing: int) -> None:
        self.failing, self.asked = failing, list[int]()

    def recognize(self, path: Path, media_type: str, page: int) -> Sequence[Line]:
        self.asked.append(page)
        if page in self.failing:
            raise NotChecked()
        return [
            [("Seite", 0.9, 0.5, 0.1, 0.1, 0.02), (str(page), 0.9, 0.7, 0.1, 0.02, 0.02)],
            [("Am", 0.9, 0, 0, 0.1, 0.02)],
        ]

    def close(self) -> None:
        pass


def with_engine(world: World, engine: Any) -> None:
    world.app.extensions["medfiles"] = replace(world.parts, engine=engine)


def run_jobs(world: World) -> None:
    with transaction() as session:
        session.execute(update(Job).where(Job.kind == "text").values(due_at=Job.created_at))
    while (claim := jobs.claim(["text"])) is not None:
        assert worker._run(world.app, claim)


def attach(world: World, name: str, content: bytes) -> EntityFile:
    file = world.attach(world.record("lab-result"), name, content)
    run_jobs(world)
    return db.session.get_one(EntityFile, file.id, populate_existing=True)


def test_text_layer_is_read_with_the_places_of_its_words(world: World) -> None:
    file = attach(world, "a.pdf", letter("Blood count of Ella", "All values in range"))
    page = world.texts().page(file.id, 2)
    assert (page.page, page.pages, page.source, page.text, page.failure) == (
        2,
        2,
        "text-layer",
        "All values in range",
        None,
    )
    [word, *_] = page.words
    assert word.text == "All"
    assert [word.x, word.y + word.height] == pytest.approx([0.1, 0.2], abs=0.02)
    with pytest.raises(NotFound):
        world.texts().page(file.id, 3)
    assert len(world.events(action="preview")) == 1  # once for the minute


def test_places_follow_the_rotation_of_the_page(world: World) -> None:
    file = attach(world, "a.pdf", turned(letter("A sideways page, still readable"), 90))
    [word, *_] = world.texts().page(file.id, 1).words
    assert word.height > word.width / 3
    assert [word.x, word.y] == pytest.approx([0.79, 0.1], abs=0.03)


@pytest.mark.parametrize(
    ("name", "content", "text"),
    [
        ("a.docx", samples.docx(), "Visit summary"),
        ("a.txt", samples.txt(), "Fasting glucose 5.1 mmol/l. Repeat in three months.\n"),
        ("a.csv", b"date,glucose\n2026-01-02,5.1\n", "date\tglucose\n2026-01-02\t5.1"),
        ("a.xml", samples.xml(), None),
        ("a.xlsx", samples.xlsx(), None),
    ],
)
def test_other_documents_are_read_as_one_page(world: World, name: str, content: bytes, text: str | None) -> None:
    page = world.texts().page(attach(world, name, content).id, 1)
    assert (page.pages, page.source, page.words, page.failure) == (1, "text-layer", [], None)
    assert page.text == text or (text is None and page.text)


def test_pictures_are_recognized_once_there_is_an_engine(world: World) -> None:
    file = attach(world, "a.pdf", letter("A page with a text layer of its own", "", ""))
    assert [(row.source, row.failure) for row in store.texts(file.sha256, most=9)] == [
        ("text-layer", None), ("none", "no-engine"), ("none", "no-engine"),
    ]  # fmt: skip
    engine = Typist(3)
    with_engine(world, engine)
    assert reading.enqueue_unread(world.parts) == {"enqueued": 1}
    run_jobs(world)
    assert engine.asked == [2, 3]
    page = world.texts().page(file.id, 2)
    assert (page.source, page.text) == ("ocr", "Am\nSeite 2")
    assert [word.text for word in page.words] == ["Am", "Seite", "2"]
    assert world.texts().page(file.id, 3).failure == "crashed"
    assert reading.enqueue_unread(world.parts) == {"enqueued": 0}
    assert store.status().pages == {"text-layer": 1, "ocr": 1, "none": 1}


def test_reading_continues_where_it_stopped(world: World) -> None:
    engine = Typist()
    with_engine(world, engine)
    file = world.attach(world.record("lab-result"), "a.pdf", letter("", "", ""))
    with pytest.raises(BeingRead):
        world.texts().page(file.id, 1)
    while not world.parts.reader.read(file.id, seconds=0):
        assert integrity.verify(world.parts.storages).findings == []  # a job is about to read the rest
    assert engine.asked == [1, 2, 3]


def test_the_same_bytes_are_read_once_and_their_text_goes_with_the_last_document(world: World) -> None:
    engine = Typist()
    with_engine(world, engine)
    first, second = attach(world, "a.png", samples.png()), attach(world, "b.png", samples.png())
    assert engine.asked == [1]
    for file, left in ((first, 1), (second, 0)):
        world.documents().trash(file.id)
        world.documents().purge(file.id)
        assert len(db.session.scalars(select(PageText)).all()) == left


def test_a_locked_document_says_so_and_is_not_tried_again(world: World) -> None:
    file = attach(world, "a.pdf", samples.locked_pdf())
    assert world.texts().page(file.id, 1).failure == "locked"
    assert store.waiting() == 0


def test_read_again_replaces_the_text(world: World) -> None:
    file = attach(world, "a.png", samples.png())
    with_engine(world, Typist())
    world.texts().read_again(file.id)
    run_jobs(world)
    assert world.texts().page(file.id, 1).source == "ocr"


def test_verify_finds_texts_that_do_not_fit_together(world: World) -> None:
    file = attach(world, "a.pdf", letter("The first page of a letter", "The second page of it"))
    assert integrity.verify(world.parts.storages).findings == []
    store.store(file.sha256, 1, 3, "text-layer", "one of three")
    [finding] = integrity.verify(world.parts.storages).findings
    assert (finding.kind, finding.key) == ("text", file.sha256)


@pytest.mark.parametrize(
    ("name", "content", "day"),
    [
        ("letter.pdf", letter("Berlin, den 12.03.2019, Befund"), date(2019, 3, 12)),
        ("letter.txt", b"Date of birth: 2018-03-02\n", None),
        ("Befund 12.5.2019.txt", b"Keine Auffaelligkeiten", date(2019, 5, 12)),
        ("03-04-2019.txt", b"Seen.", None),
    ],
)
def test_date_is_suggested_but_not_set(world: World, name: str, content: bytes, day: date | None) -> None:
    file = attach(world, name, content)
    assert (file.document_date, file.document_date_suggested) == (None, day)
    assert file.dated_on == file.uploaded_at.date()


def test_a_suggestion_that_turns_out_to_be_a_birth_date_is_withdrawn(world: World) -> None:
    file = attach(world, "letter.txt", b"Date: 12 March 2019\n")
    assert file.document_date_suggested == date(2019, 3, 12)
    world.records().create_patient({"first_name": "Otto", "last_name": "Sample", "birth_date": "2019-03-12"})
    assert db.session.get_one(EntityFile, file.id, populate_existing=True).document_date_suggested is None


def test_no_date_is_suggested_again_once_one_was_cleared(world: World) -> None:
    file = attach(world, "letter.txt", b"Date: 12 March 2019\n")
    for day in ("2019-03-12", None):
        world.documents().edit(file.id, {"document_date": day})
    for _ in range(2):
        seen = db.session.get_one(EntityFile, file.id, populate_existing=True)
        assert (seen.document_date, seen.document_date_suggested) == (None, None)
        world.texts().read_again(file.id)
        run_jobs(world)
    assert world.texts().page(file.id, 1).text.startswith("Date: 12 March")


def test_a_document_given_up_is_in_the_status_and_read_again_when_asked_to(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    [file_id] = world.store(world.record("lab-result"), "letter.txt")

    def give_up() -> None:
        with monkeypatch.context() as broken:
            broken.setattr(Reader, "read", lambda *_: 1 // 0)
            for _ in range(5):
                with transaction() as session:
                    session.execute(update(Job).where(Job.kind == "text").values(due_at=Job.created_at))
                assert worker.run_next(world.app) is False
        assert (worker.run_next(world.app), store.status().given_up, store.status().waiting) == (None, 1, 1)

    with transaction():
        jobs.enqueue("text", file_id)
    for again in (lambda: world.texts().read_again(file_id), jobs.retry_given_up):
        give_up()
        again()
        run_jobs(world)
        assert (store.status().given_up, store.status().waiting) == (0, 0)
        with transaction():
            store.forget(db.session.get_one(EntityFile, file_id).sha256)
            jobs.enqueue("text", file_id)


def test_dicom_files_have_descriptions_and_the_day_of_the_study(world: World) -> None:
    file = world.attach(world.record("procedure"), "a.dcm", samples.dicom())
    run_jobs(world)
    file = db.session.get_one(EntityFile, file.id, populate_existing=True)
    assert file.document_date_suggested == date(2004, 1, 19) or file.document_date_suggested is None
    assert "CT" not in world.texts().page(file.id, 1).text.split("\n")


def test_order_of_day_and_month_is_that_of_the_uploader(world: World) -> None:
    world.user()
    with transaction() as session:
        session.execute(update(User).values(date_order="dmy"))
    assert attach(world, "03-04-2019.txt", b"Seen.").document_date_suggested == date(2019, 4, 3)
