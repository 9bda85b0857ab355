"""The search index and the rows it is made from agree; each difference is found, and rebuilding removes it."""

from collections.abc import Callable
from datetime import timedelta
from typing import Any

import pytest
from sqlalchemy import delete, select, text, update

from medfiles.database.session import db, transaction
from medfiles.jobs.queue import TEXT
from medfiles.models import EntityFile, Job, PageText, Patient, SearchEntry, Visit
from medfiles.operations import housekeeping
from medfiles.search import checking, index, merging, query
from medfiles.search.query import SearchQuery
from tests.support.factories import World

pytestmark = pytest.mark.database


@pytest.fixture
def stored(world: World) -> EntityFile:
    """A document of a visit, with a text that has been read."""
    file = world.attach(world.record(reason="Knee pain"), "letter.pdf")
    with transaction() as session:
        page = {"sha256": file.sha256, "page": 1, "recipe": 1, "pages": 1, "source": "text-layer"}
        session.add(PageText(**page, text="A meniscus tear"))
        index.put_texts(file.sha256)
        session.execute(delete(Job).where(Job.kind == TEXT))  # as after the job
    return file


def problems(world: World) -> list[tuple[str, str]]:
    return [(one.kind, one.subject) for one in checking.check(world.parts.registry).problems]


def found(world: World, q: str) -> set[str]:
    return {hit.kind for hit in query.page(world.parts.registry, world.actor(), SearchQuery(q), 20).hits}


def change(statement: Any) -> Callable[[EntityFile], None]:
    def run(file: EntityFile) -> None:
        with transaction() as session:
            session.execute(statement(file), execution_options={"synchronize_session": False})

    return run


DIFFERENCES = {
    "an entry is missing": (
        change(lambda file: delete(SearchEntry).where(SearchEntry.kind == "document")), "missing", "document {file}",
    ),
    "a record's entry is missing": (
        change(lambda file: delete(SearchEntry).where(SearchEntry.kind == "record")), "missing", "visit {record}",
    ),
    "a document was renamed behind the index": (
        change(lambda file: update(EntityFile).values(description="Something else")), "different", "document {file}",
    ),
    "a record was changed behind the index": (
        change(lambda file: update(Visit).values(notes="Something else")), "different", "visit {record}",
    ),
    "a patient was renamed behind the index": (
        change(lambda file: update(Patient).values(first_name="Zoe")), "different", "patient {patient}",
    ),
    "the text differs": (
        change(lambda file: update(PageText).values(text="Another text")), "different", "document {file}",
    ),
    "an entry has words of another patient": (
        change(lambda file: update(SearchEntry).where(SearchEntry.kind == "record").values(words="p99_secret")),
        "different", "visit {record}",
    ),
    "an entry's row is gone": (
        change(lambda file: update(SearchEntry).where(SearchEntry.kind == "document").values(subject_id=7)),
        "stray", "document 7",
    ),
}  # fmt: skip


@pytest.mark.parametrize("name", DIFFERENCES)
def test_each_difference_is_found_and_mended(world: World, stored: EntityFile, name: str) -> None:
    assert problems(world) == []
    alter, kind, subject = DIFFERENCES[name]
    alter(stored)
    expected = subject.format(file=stored.id, record=stored.entity_id, patient=stored.patient_id)
    assert (kind, expected) in problems(world)
    checking.rebuild(world.parts.registry)
    assert problems(world) == []
    assert "document" in found(world, "pdf")


@pytest.mark.only_sqlite
def test_words_that_do_not_match_their_entries_are_found_and_mended(world: World, stored: EntityFile) -> None:
    with transaction() as session:
        session.execute(text("INSERT INTO search_words (search_words) VALUES ('delete-all')"))
    assert problems(world) == [("words", "")]
    assert found(world, "meniscus") == set()
    checking.rebuild(world.parts.registry)
    assert problems(world) == []
    assert found(world, "meniscus") == {"document"}


def test_the_index_agrees_after_everything_that_happens_to_documents(world: World) -> None:
    record, documents = world.record(reason="Knee pain"), world.documents()
    for kind in ("lab-result", "procedure", "insurance"):
        world.record(kind, notes="Some words")
    one, other = world.attach(record, "one.pdf"), world.attach(record, "two.pdf", description="Second")
    documents.edit(one.id, {"file_name": "three.pdf"})
    world.bulk().categorise(world.kind(), record.id, [one.id, other.id], "referral")
    world.records().edit(world.kind(), record.id, {"reason": "Back pain"})
    assert problems(world) == []
    world.records().delete(world.kind(), record.id)
    world.records().restore(world.kind(), record.id)
    documents.trash(other.id)
    assert problems(world) == []
    documents.purge(other.id)
    assert problems(world) == []
    assert db.session.scalars(select(SearchEntry.subject_id).where(SearchEntry.kind == "document")).all() == [one.id]


def test_a_document_of_the_patient_is_found_by_its_own_words(world: World) -> None:
    patient = world.patient()
    file = world.attach(patient, "passport.pdf", category="id")
    world.documents().edit(file.id, {"description": "Valid until 2031"})
    assert problems(world) == []
    assert found(world, "passport 2031") == found(world, "ella passport") == {"document"}
    assert found(world, "ella") == {"patient"}
    world.records().edit_patient(patient.id, {"first_name": "Zoe"})
    assert problems(world) == []
    assert found(world, "zoe passport") == {"document"}


def test_a_patient_deleted_permanently_leaves_no_entry(world: World, stored: EntityFile) -> None:
    world.records().delete_patient(stored.patient_id)
    assert found(world, "knee") == set()
    housekeeping.purge_expired(world.parts.registry, world.parts.storages, timedelta(0), force=True)
    assert db.session.get(Patient, stored.patient_id) is None
    assert db.session.scalars(select(SearchEntry.id)).all() == []


def test_a_text_that_is_read_for_one_document_is_found_for_all_with_the_same_bytes(
    world: World, stored: EntityFile
) -> None:
    content = b"".join(world.parts.storages.default.open(stored.file_path))
    again = world.attach(world.record("insurance"), "copy.pdf", content)
    assert again.sha256 == stored.sha256
    with transaction():
        index.put_texts_of(again.id)
    hits = query.page(world.parts.registry, world.actor(), SearchQuery("meniscus"), 20).hits
    assert {hit.subject_id for hit in hits} == {stored.id, again.id}


def test_the_index_of_words_is_merged_into_few_parts_and_finds_the_same(world: World) -> None:
    for number in range(40):
        world.record("visit", notes=f"zebra {number}")

    def parts() -> int:
        db.session.rollback()
        return db.session.scalar(text("SELECT count(DISTINCT segid) FROM search_words_idx")) or 0

    if db.engine.dialect.name != "sqlite":
        assert merging.merge() == 0
        return
    before = parts()
    assert merging.merge() >= 1
    assert parts() < min(before, 4)
    assert world.searches().search(SearchQuery("zebra"), 10).total == 40
    assert checking.check(world.parts.registry).problems == []
    assert merging.merge() == 1
