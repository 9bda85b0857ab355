"""The inbox: what is in it, what is suggested, filing, and the warning about another patient."""

from collections.abc import Callable
from datetime import date
from typing import Any

import pytest
from sqlalchemy import update

from medfiles.database.session import db, transaction
from medfiles.documents.rules import UploadMetadata
from medfiles.errors import Forbidden, NotFound, Rejected
from medfiles.inbox.service import Choice, Filing, InboxService, read_cursor
from medfiles.inbox.suggesting import Confidence
from medfiles.models import EntityFile, Patient
from medfiles.texts import store
from tests.support import samples
from tests.support.factories import World

pytestmark = pytest.mark.database
BEN = {"first_name": "Ben", "last_name": "Sample", "birth_date": date(2016, 5, 3)}
LETTER = "City Hospital\nClinic letter\nDate: 14 March 2026\nPatient: {name}, born {born}\nKnee pain\n"


def inbox(world: World, email: str = "nora@sample.example") -> InboxService:
    return InboxService(world.actor(email), **world._service())


def put_in(world: World, patient: Patient, text: str, name: str = "Scan_1.pdf", **columns: Any) -> int:
    """A document in the patient's inbox whose text has been read."""
    service, content = world.documents(), samples.pdf() + f"\n% {name} {text!r}".encode()
    permit = service.authorize_upload(world.kind("patient"), patient.id, len(content), files=1)
    staged = service.stage(permit)
    staged.write(content)
    file, _ = service.attach(permit, staged, UploadMetadata(name, to_file=True))
    store.store(file.sha256, 1, 1, store.TEXT_LAYER, text)
    with transaction() as session:
        session.execute(update(EntityFile).where(EntityFile.id == file.id).values(**columns or {"to_file": True}))
    return file.id


@pytest.fixture
def ella(world: World) -> Patient:
    return world.patient()


@pytest.fixture
def ben(world: World, ella: Patient) -> Patient:
    return world.records().create_patient(BEN)


def letter_of(patient: Patient) -> str:
    return LETTER.format(name=f"{patient.first_name} {patient.last_name}", born=patient.birth_date.isoformat())


def test_an_upload_for_the_inbox_is_stored_with_the_patient_and_marked(world: World, ella: Patient) -> None:
    service = world.documents()
    permit = service.authorize_upload(world.kind("patient"), ella.id, 5, files=1)
    staged = service.stage(permit)
    staged.write(b"Hello")
    file, _ = service.attach(permit, staged, UploadMetadata("note.txt", to_file=True))
    assert (file.entity_type, file.entity_id, file.to_file) == ("patient", ella.id, True)
    assert inbox(world).unfiled() == 1
    assert [(event.details or {})["to_file"] for event in world.events(action="attach")] == [True]


def test_only_a_patient_has_an_inbox(world: World) -> None:
    record, service = world.record(), world.documents()
    permit = service.authorize_upload(world.kind(), record.id, 5, files=1)
    staged = service.stage(permit)
    staged.write(b"Hello")
    with pytest.raises(Rejected, match="inbox"):
        service.attach(permit, staged, UploadMetadata("note.txt", to_file=True))
    world.assert_settled()


def test_a_letter_is_suggested_to_its_record_with_reasons(world: World, ella: Patient) -> None:
    world.record(patient=ella, reason="Ear infection", date=date(2024, 1, 8))
    visit = world.record(patient=ella, reason="Knee pain", date=date(2026, 3, 12))
    file_id = put_in(world, ella, letter_of(ella), document_date_suggested=date(2026, 3, 14))
    [item] = inbox(world).page(None, None, 50).items
    suggestion = item.suggestion
    assert (item.file.id, suggestion.record_id, suggestion.category) == (file_id, visit.id, "summary")
    assert (suggestion.document_date, suggestion.file_name) == (date(2026, 3, 14), "Clinic letter.pdf")
    assert suggestion.confidence == Confidence.SURE
    assert set(suggestion.reasons) == {"record", "category", "document_date", "file_name"}
    assert "Knee pain" in suggestion.reasons["record"]


def test_suggestions_are_the_same_each_time(world: World, ella: Patient) -> None:
    world.record(patient=ella, reason="Knee pain", date=date(2026, 3, 12))
    put_in(world, ella, letter_of(ella))
    first, second = (inbox(world).page(None, None, 50).items[0].suggestion for _ in range(2))
    assert first == second


def test_a_letter_that_names_another_patient_asks_and_is_not_sure(world: World, ella: Patient, ben: Patient) -> None:
    world.record(patient=ella, reason="Knee pain", date=date(2026, 3, 14))
    put_in(world, ella, letter_of(ben))
    [item] = inbox(world).page(ella.id, None, 50).items
    assert item.other is not None
    assert item.other.id == ben.id
    assert item.suggestion.confidence == Confidence.CHECK


def test_the_other_patient_can_be_chosen_or_the_question_answered(world: World, ella: Patient, ben: Patient) -> None:
    visit = world.record(patient=ben, reason="Knee pain", date=date(2026, 3, 14))
    file_id = put_in(world, ella, letter_of(ben), document_date_suggested=date(2026, 3, 14))
    [item] = inbox(world).page(ella.id, None, 50, {file_id: Choice(ben.id)}).items
    assert (item.patient.id, item.other, item.suggestion.record_id) == (ben.id, None, visit.id)
    inbox(world).keep(file_id)
    [item] = inbox(world).page(ella.id, None, 50).items
    assert (item.patient.id, item.other) == (ella.id, None)


def test_a_patient_the_account_cannot_see_is_never_named(world: World, ella: Patient) -> None:
    world.records("otto@sample.example").create_patient(BEN)
    put_in(world, ella, LETTER.format(name="Ben Sample", born="2016-05-03"))
    [item] = inbox(world).page(None, None, 50).items
    assert item.other is None


def test_an_archived_patient_is_not_suggested_and_no_one_else_instead(
    world: World, ella: Patient, ben: Patient
) -> None:
    world.record(patient=ella, reason="Knee pain", date=date(2026, 3, 14))
    put_in(world, ella, letter_of(ben))
    world.records().archive_patient(ben.id)
    [item] = inbox(world).page(ella.id, None, 50).items
    assert item.other is None
    assert item.suggestion.confidence != Confidence.SURE
    world.records().unarchive_patient(ben.id)
    [item] = inbox(world).page(ella.id, None, 50).items
    assert item.other is not None


def test_filing_moves_documents_and_sets_their_details(world: World, ella: Patient, ben: Patient) -> None:
    visit, other = world.record(patient=ella), world.record("procedure", patient=ben)
    kinds = world.kind("visit"), world.kind("procedure"), world.kind("patient")
    ids = [put_in(world, ella, letter_of(ella), f"{n}.pdf") for n in range(3)]
    details = {"category": "summary", "document_date": "2026-03-14", "file_name": "Letter"}
    filed = inbox(world).file_many([
        Filing(ids[0], kinds[0], visit.id, details), Filing(ids[1], kinds[1], other.id),
        Filing(ids[2], kinds[2], ella.id, {"category": "vaccination"}),
    ])  # fmt: skip
    assert [each.error for each in filed] == [None, None, None]
    files = {file.id: file for file in world.files()}
    assert [files[n].to_file for n in ids] == [False, False, False]
    assert [(files[n].entity_type, files[n].entity_id) for n in ids] == [
        ("visit", visit.id), ("procedure", other.id), ("patient", ella.id),
    ]  # fmt: skip
    assert (files[ids[0]].category, files[ids[0]].file_name) == ("summary", "Letter.pdf")
    assert (files[ids[0]].document_date, files[ids[2]].category) == (date(2026, 3, 14), "vaccination")
    assert inbox(world).unfiled() == 0
    assert [len(world.events(action=action)) for action in ("file", "move-in", "move-out")] == [2, 1, 1]
    world.assert_settled()


def test_an_error_in_one_document_does_not_keep_others(world: World, ella: Patient) -> None:
    visit, kind = world.record(patient=ella), world.kind()
    good, bad = put_in(world, ella, "", "1.pdf"), put_in(world, ella, "", "2.pdf")
    filed = inbox(world).file_many([
        Filing(good, kind, visit.id), Filing(bad, kind, 10**9, {}), Filing(10**12, kind, visit.id, {})
    ])  # fmt: skip
    assert [each.error and each.error.code for each in filed] == [None, "not-found", "not-found"]
    assert inbox(world).unfiled() == 1


def test_undoing_a_filing_puts_the_document_back_into_the_inbox(world: World, ella: Patient) -> None:
    visit = world.record(patient=ella)
    file_id = put_in(world, ella, letter_of(ella))
    inbox(world).file_many([Filing(file_id, world.kind(), visit.id)])
    inbox(world).take_back(file_id)
    [file] = world.files()
    assert (file.entity_type, file.to_file) == ("patient", True)


def test_a_document_handed_over_is_in_the_other_inbox(world: World, ella: Patient, ben: Patient) -> None:
    file_id = put_in(world, ella, letter_of(ben))
    [moved] = inbox(world).hand_over([file_id], ben.id)
    assert moved.error is None
    assert [item.file.id for item in inbox(world).page(ben.id, None, 50).items] == [file_id]
    assert inbox(world).page(ella.id, None, 50).items == []


def test_pages_follow_each_other(world: World, ella: Patient) -> None:
    ids = [put_in(world, ella, "", f"{n}.pdf") for n in range(5)]
    first = inbox(world).page(None, None, 3)
    rest = inbox(world).page(None, read_cursor(first.next or ""), 3)
    assert [item.file.id for item in [*first.items, *rest.items]] == ids[::-1]
    assert (first.total, rest.total, rest.next) == (5, None, None)


def test_who_may_only_view_has_no_inbox(world: World, ella: Patient) -> None:
    put_in(world, ella, letter_of(ella))
    world.share(ella, "vera@sample.example", "view")
    assert inbox(world, "vera@sample.example").unfiled() == 0
    with pytest.raises(Forbidden):
        inbox(world, "vera@sample.example").page(ella.id, None, 50)
    with pytest.raises(NotFound):
        inbox(world, "otto@sample.example").page(ella.id, None, 50)


def test_a_document_in_the_trash_is_not_in_the_inbox(world: World, ella: Patient) -> None:
    file_id = put_in(world, ella, letter_of(ella))
    world.documents().trash(file_id)
    assert inbox(world).page(None, None, 50).items == []
    world.documents().restore(file_id)
    assert inbox(world).unfiled() == 1


def test_the_statements_do_not_grow_with_the_documents(
    world: World, ella: Patient, statements: Callable[[], list[str]]
) -> None:
    for number in range(30):
        put_in(world, ella, letter_of(ella), f"{number}.pdf")
    db.session.rollback()
    heard = statements()
    inbox(world).page(None, None, 50)
    assert len([each for each in heard if each.startswith("SELECT")]) <= 14
