"""Moving documents to another record, also of another patient, and taking them back."""

from datetime import timedelta
from typing import Any

import pytest
from sqlalchemy import delete, select, update

from medfiles.antivirus.policy import INFECTED
from medfiles.clock import now
from medfiles.database.session import db, transaction
from medfiles.documents import take_back
from medfiles.errors import (
    Conflict,
    Forbidden,
    NotFound,
    OverQuota,
    Quarantined,
    Rejected,
    TooLarge,
    TooMany,
    TypeNotAllowed,
)
from medfiles.models import AuditEvent, DocumentMove, EntityFile, HousekeepingRound, PatientShare
from medfiles.operations import housekeeping
from medfiles.search import index
from medfiles.search.query import SearchQuery
from medfiles.texts import store as page_texts
from tests.support.factories import World

pytestmark = pytest.mark.database

NORA, BEN = "nora@sample.example", "ben@sample.example"


def row(file_id: int) -> EntityFile:
    return db.session.get_one(EntityFile, file_id, populate_existing=True)


def stored(world: World, record: Any, name: str = "letter.txt", **columns: Any) -> EntityFile:
    [file_id] = world.store(record, name, **columns)
    return row(file_id)


def events(file_id: int) -> list[tuple[str, int | None]]:
    rows = db.session.execute(
        select(AuditEvent.action, AuditEvent.patient_id)
        .where(AuditEvent.file_id == file_id, AuditEvent.outcome == "done")
        .order_by(AuditEvent.id)
    )
    return [(action, patient_id) for action, patient_id in rows if action != "attach"]


def errors(results: Any) -> list[Any]:
    return [type(result.error) if result.error else None for result in results]


def found_documents(world: World, email: str, patient_id: int | None = None) -> list[int]:
    """Return the documents that this account finds by the word "Zebra"."""
    found = world.searches(email).search(SearchQuery("zebra", patient=patient_id), 10)
    return [item.subject_id for item in found.items]


@pytest.fixture
def ella(world: World) -> Any:
    return world.patient()


@pytest.fixture
def visit(world: World, ella: Any) -> Any:
    return world.record("visit", ella)


def test_document_keeps_its_id_and_gets_a_key_in_the_directory_of_its_new_record(
    world: World, ella: Any, visit: Any
) -> None:
    file = stored(world, visit, "letter.txt")
    old, result = file.file_path, world.record("lab-result", ella)
    world.moving().move(file.id, world.kind("lab-result"), result.id)
    moved = row(file.id)
    assert (moved.entity_type, moved.entity_id) == ("lab-result", result.id)
    assert moved.file_path.startswith("files/lab-results/")
    assert [(world.uploads / key).exists() for key in (old, moved.file_path)] == [False, True]
    world.assert_settled()
    assert events(file.id) == [("file", ella.id)]


def test_move_to_another_patient_is_logged_for_both(world: World, ella: Any, visit: Any) -> None:
    file, ben = stored(world, visit), world.patient(first_name="Ben")
    world.moving().move(file.id, world.kind("patient"), ben.id)
    assert row(file.id).patient_id == ben.id
    assert events(file.id) == [("move-out", ella.id), ("move-in", ben.id)]


def test_category_is_kept_only_if_the_record_has_it(world: World, ella: Any, visit: Any) -> None:
    letter, summary = (stored(world, visit, f"{name}.txt", category=name) for name in ("correspondence", "summary"))
    results = world.moving().move_many([letter.id, summary.id], world.kind("patient"), ella.id)
    assert [result.category for result in results] == [None, "summary"]
    assert [row(file.id).category for file in (letter, summary)] == ["correspondence", None]


def test_details_can_be_given_with_a_move(world: World, ella: Any, visit: Any) -> None:
    file = stored(world, visit, "scan.txt", category="summary")
    details = {file.id: {"category": "id", "file_name": "Passport", "document_date": "2026-03-12"}}
    world.moving().move_many([file.id], world.kind("patient"), ella.id, details)
    moved = row(file.id)
    assert (moved.category, moved.file_name, str(moved.dated_on)) == ("id", "Passport.txt", "2026-03-12")
    assert events(file.id) == [("file", ella.id), ("edit", ella.id)]


def test_details_that_the_record_does_not_take_are_rejected_before_anything_moves(
    world: World, ella: Any, visit: Any
) -> None:
    file = stored(world, visit)
    with pytest.raises(Rejected):
        world.moving().move(file.id, world.kind("patient"), ella.id, {"category": "summary"})
    assert row(file.id).entity_type == "visit"


def test_a_document_that_is_already_there_stays_as_it_is(world: World, visit: Any) -> None:
    file = stored(world, visit)
    key = file.file_path
    world.moving().move(file.id, world.kind(), visit.id)
    assert row(file.id).file_path == key
    assert events(file.id) == []


def test_what_the_record_does_not_take_is_refused(world: World, ella: Any, visit: Any) -> None:
    file, kind, insurance = stored(world, visit), world.kind("insurance"), world.record("insurance", ella)
    result, lab = world.record("lab-result", ella), world.kind("lab-result")
    with pytest.raises(TypeNotAllowed):
        world.moving().move(file.id, kind, insurance.id)
    with transaction() as session:
        session.execute(update(EntityFile).values(file_size=lab.max_size + 1))
    with pytest.raises(TooLarge):
        world.moving().move(file.id, lab, result.id)


def test_a_record_takes_as_many_as_it_has_room_for(world: World, ella: Any, visit: Any) -> None:
    ids = world.store(visit, "1.txt", "2.txt", "3.txt")
    full, kind = world.record("visit", ella), world.kind()
    world.store(full, *(f"Old {number}.txt" for number in range(kind.max_files - 2)))
    assert errors(world.moving().move_many(ids, kind, full.id)) == [None, None, TooMany]


def test_documents_in_the_trash_or_in_quarantine_stay(world: World, ella: Any, visit: Any) -> None:
    trashed, infected = stored(world, visit, "1.txt").id, stored(world, visit, "2.txt").id
    world.documents().trash(trashed)
    with transaction() as session:
        session.execute(update(EntityFile).where(EntityFile.id == infected).values(scan=INFECTED))
    results = world.moving().move_many([trashed, infected], world.kind("patient"), ella.id)
    assert errors(results) == [Conflict, Quarantined]


def test_record_in_the_trash_takes_no_document(world: World, ella: Any, visit: Any) -> None:
    file, other = stored(world, visit), world.record("visit", ella)
    world.records().delete(world.kind(), other.id)
    with pytest.raises(Conflict):
        world.moving().move(file.id, world.kind(), other.id)


def test_only_who_can_edit_both_patients_moves_documents(world: World, ella: Any, visit: Any) -> None:
    file, ben = stored(world, visit), world.patient(first_name="Ben")
    kind = world.kind("patient")
    with pytest.raises(NotFound):
        world.moving(BEN).move(file.id, kind, ben.id)
    world.share(ella, BEN, "view")
    world.share(ben, BEN, "edit")
    with pytest.raises(Forbidden):
        world.moving(BEN).move(file.id, kind, ben.id)


def test_an_editor_moves_documents_between_patients_of_one_owner(world: World, ella: Any, visit: Any) -> None:
    file, ben = stored(world, visit), world.patient(first_name="Ben")
    for patient in (ella, ben):
        world.share(patient, BEN, "edit")
    world.moving(BEN).move(file.id, world.kind("patient"), ben.id)
    assert row(file.id).patient_id == ben.id


def test_only_the_owner_moves_documents_to_a_patient_of_another_account(world: World, ella: Any, visit: Any) -> None:
    file, other = stored(world, visit), world.patient(BEN, "Ben")
    world.share(ella, BEN, "edit")
    with pytest.raises(Forbidden):
        world.moving(BEN).move(file.id, world.kind("patient"), other.id)
    world.share(other, NORA, "edit")
    world.moving().move(file.id, world.kind("patient"), other.id)
    assert row(file.id).patient_id == other.id


def test_quota_of_the_new_owner_counts(world: World, ella: Any, visit: Any) -> None:
    file, other = stored(world, visit), world.patient(BEN, "Ben")
    world.share(other, NORA, "edit")
    service = world.moving()
    service.quota = 1
    with pytest.raises(OverQuota):
        service.move(file.id, world.kind("patient"), other.id)


def test_moved_document_is_found_only_under_its_new_patient(world: World, ella: Any, visit: Any) -> None:
    file, other = stored(world, visit, "Zebra.txt"), world.patient(BEN, "Ben")
    world.share(other, NORA, "edit")
    world.moving().move(file.id, world.kind("patient"), other.id)
    assert found_documents(world, BEN) == [file.id]
    assert found_documents(world, NORA, ella.id) == []


def test_text_of_a_document_is_found_only_under_its_new_patient(world: World, ella: Any, visit: Any) -> None:
    file, other = stored(world, visit), world.patient(BEN, "Ben")
    page_texts.store(file.sha256, 1, 1, "text-layer", "A zebra was seen.", [])
    with transaction():
        index.put_documents(world.parts.registry, [row(file.id)])
        index.put_texts(file.sha256)
    assert found_documents(world, NORA, ella.id) == [file.id]
    world.share(other, NORA, "edit")
    world.moving().move(file.id, world.kind("patient"), other.id)
    assert found_documents(world, BEN) == [file.id]
    assert found_documents(world, NORA, ella.id) == []


def test_upload_repeated_by_someone_who_lost_sight_of_the_document_is_not_found(
    world: World, ella: Any, visit: Any
) -> None:
    file = world.attach(visit, "Plan.txt", b"Rest.", idempotency_key="one")
    other = world.patient(BEN, "Ben")
    world.share(other, NORA, "edit")
    world.moving().move(file.id, world.kind("patient"), other.id)
    with transaction() as session:
        session.execute(delete(PatientShare).where(PatientShare.patient_id == other.id))
    with pytest.raises(NotFound):
        world.attach(visit, "Plan.txt", b"Rest.", idempotency_key="one")


def test_repeated_upload_answers_the_document_where_it_is_now(world: World, ella: Any, visit: Any) -> None:
    file = world.attach(visit, "Plan.txt", b"Rest.", idempotency_key="one")
    world.moving().move(file.id, world.kind("patient"), ella.id)
    again = world.attach(visit, "Plan.txt", b"Rest.", idempotency_key="one")
    assert (again.id, again.entity_type) == (file.id, "patient")


# Taking back


def given_away(world: World, visit: Any, name: str = "letter.txt", **columns: Any) -> tuple[int, Any]:
    """A document that was moved to a patient of another account, to whom its former owner has no access any more."""
    file, other = stored(world, visit, name, **columns), world.patient(BEN, "Ben")
    world.share(other, NORA, "edit")
    world.moving().move(file.id, world.kind("patient"), other.id)
    with transaction() as session:
        session.execute(delete(PatientShare).where(PatientShare.patient_id == other.id))
    return file.id, other


def test_undo_puts_the_document_back_with_its_category(world: World, ella: Any, visit: Any) -> None:
    file = stored(world, visit, category="summary")
    world.moving().move(file.id, world.kind("patient"), ella.id)
    world.moving().take_back(file.id)
    back = row(file.id)
    assert (back.entity_type, back.entity_id, back.category) == ("visit", visit.id, "summary")
    assert db.session.scalars(select(DocumentMove)).all() == []


def test_undo_is_refused_once_the_document_has_moved_on(world: World, ella: Any, visit: Any) -> None:
    file, other = stored(world, visit), world.record("visit", ella)
    world.share(ella, BEN, "edit")
    world.moving().move(file.id, world.kind("patient"), ella.id)
    world.moving(BEN).move(file.id, world.kind(), other.id)
    with pytest.raises(Conflict):
        world.moving().take_back(file.id)


def test_former_owner_takes_a_document_back_from_the_trash(world: World, ella: Any, visit: Any) -> None:
    file_id, other = given_away(world, visit, category="summary")
    world.documents(BEN).trash(file_id)
    with pytest.raises(Conflict):
        world.documents(BEN).purge(file_id)
    assert errors(world.bulk(BEN).purge_many(world.kind("patient"), other.id, [file_id])) == [Conflict]
    world.moving().take_back(file_id)
    back = row(file_id)
    assert (back.entity_id, back.category, back.deleted_at) == (visit.id, "summary", None)
    assert back.file_path.startswith("files/visits/")
    assert (world.uploads / back.file_path).exists()
    assert events(file_id)[-3:] == [("take-back", other.id), ("take-back", ella.id), ("edit", ella.id)]


def test_new_owner_cannot_undo_the_move(world: World, visit: Any) -> None:
    file_id, _ = given_away(world, visit)
    with pytest.raises(Conflict):
        world.moving(BEN).take_back(file_id)


def test_stranger_learns_nothing_about_a_move(world: World, visit: Any) -> None:
    file_id, _ = given_away(world, visit)
    with pytest.raises(NotFound):
        world.moving("stranger@sample.example").take_back(file_id)


def test_document_returns_to_its_patient_if_its_record_is_gone(world: World, ella: Any, visit: Any) -> None:
    file_id, _ = given_away(world, visit)
    world.records().delete(world.kind(), visit.id)
    [result] = world.moving().take_back_many([file_id])
    assert result.elsewhere
    assert (row(file_id).entity_type, row(file_id).entity_id) == ("patient", ella.id)


def test_trash_keeps_what_can_be_taken_back_and_then_lets_it_go(world: World, visit: Any) -> None:
    file_id, _ = given_away(world, visit)
    world.documents(BEN).trash(file_id)
    purge = (world.parts.registry, world.parts.storages, timedelta(0))
    assert housekeeping.purge_expired(*purge, force=True).documents == 0
    with transaction() as session:
        session.execute(update(DocumentMove).values(moved_at=now() - timedelta(days=31)))
    assert housekeeping.purge_expired(*purge, force=True).documents == 0  # the clock alone does not end the period
    with transaction() as session:
        session.add_all(HousekeepingRound() for _ in range(15))
    with pytest.raises(NotFound):
        world.moving().take_back(file_id)
    assert housekeeping.purge_expired(*purge, force=True).documents == 1
    assert db.session.scalars(select(DocumentMove)).all() == []


def test_patient_with_a_document_that_can_be_taken_back_is_not_purged(world: World, visit: Any) -> None:
    file_id, other = given_away(world, visit)
    world.records(BEN).delete_patient(other.id)
    purged = housekeeping.purge_expired(world.parts.registry, world.parts.storages, timedelta(0), force=True)
    assert purged.patients == 0
    world.moving().take_back(file_id)
    assert row(file_id).entity_id == visit.id


def test_period_set_by_a_clock_ahead_begins_now(world: World, visit: Any) -> None:
    file_id, _ = given_away(world, visit)
    with transaction() as session:
        session.execute(update(DocumentMove).values(moved_at=now() + timedelta(days=365)))
    take_back.forget_expired()
    [move] = db.session.scalars(select(DocumentMove)).all()
    assert move.moved_at <= now()
