"""The verbs on documents, as the doors call them."""

import hashlib
import threading
from collections.abc import Callable
from functools import partial
from typing import Any

import pytest

from medfiles.documents.listing import ListQuery
from medfiles.documents.rules import UploadMetadata
from medfiles.documents.service import NEWEST
from medfiles.errors import (
    BadName,
    Conflict,
    ContentMismatch,
    EmptyFile,
    MedfilesError,
    NotFound,
    Rejected,
    TypeNotAllowed,
)
from medfiles.models import FIRST_FILE_ID, EntityFile
from tests.support import samples
from tests.support.factories import World, run_at_once

pytestmark = pytest.mark.database

KINDS = ("lab-result", "insurance", "visit", "procedure")
STRANGER = "stranger@sample.example"
IN_TRASH = ListQuery(trashed=True)


def listed(world: World, record_id: int, list_query: ListQuery = NEWEST) -> list[EntityFile]:
    return list(world.documents().list(world.kind(), record_id, list_query).files)


def content_of(world: World, file: EntityFile) -> bytes:
    return b"".join(world.documents().open(file.id).read())


@pytest.mark.parametrize(
    ("kind", "extension"),
    [
        (kind, extension)
        for kind in ("lab-result", "insurance", "visit", "procedure")
        for extension in (".pdf", ".jpg", ".docx")
    ]
    + [("procedure", ".dcm"), ("lab-result", ".csv"), ("lab-result", ".xlsx"), ("visit", ".txt"), ("visit", ".heic")],
)
def test_an_attached_document_is_read_back_byte_for_byte(world: World, kind: str, extension: str) -> None:
    content = samples.SAMPLES[extension]()
    file = world.attach(world.record(kind), f"paper{extension}", content)
    assert content_of(world, file) == content
    assert (file.file_size, file.sha256) == (len(content), hashlib.sha256(content).hexdigest())
    world.assert_settled()


def test_the_media_type_is_read_from_the_bytes(world: World) -> None:
    assert world.attach(world.record(), "scan.JPEG", samples.jpeg()).file_type == "image/jpeg"


def test_the_first_document_has_an_id_above_every_id_of_the_older_feature(world: World) -> None:
    assert world.attach(world.record()).id == FIRST_FILE_ID


def test_an_id_is_never_given_twice(world: World) -> None:
    record = world.record()
    first = world.attach(record)
    world.documents().trash(first.id)
    world.documents().purge(first.id)
    assert world.attach(record).id == FIRST_FILE_ID + 1


def test_a_documents_key_says_nothing_about_it(world: World) -> None:
    file = world.attach(world.record(), "Maria HIV result.pdf")
    assert "Maria" not in file.file_path
    assert file.file_path.startswith("files/visits/")


def test_description_and_category_are_kept(world: World) -> None:
    file = world.attach(world.record(), description="  From Dr. Sample\r\nsigned ", category="referral")
    assert (file.description, file.category) == ("From Dr. Sample\nsigned", "referral")


@pytest.mark.parametrize(
    ("name", "content", "paper", "error"),
    [
        ("virus.exe", b"MZ", {}, TypeNotAllowed),
        ("table.csv", b"a,b\n1,2\n", {}, TypeNotAllowed),  # fine for lab results, not for visits
        ("noending", b"text", {}, TypeNotAllowed),
        ("letter.pdf", b"", {}, EmptyFile),
        ("letter.pdf", b"this is no PDF", {}, ContentMismatch),
        ("letter.pdf", samples.png(), {}, ContentMismatch),
        ("\u202e/..", b"x", {}, BadName),
        ("letter.pdf", samples.pdf(), {"category": "card"}, Rejected),
        ("letter.pdf", samples.pdf(), {"description": "x" * 1001}, Rejected),
    ],
)
def test_what_does_not_belong_is_refused_and_nothing_of_it_is_kept(
    world: World, name: str, content: bytes, paper: dict[str, Any], error: type[MedfilesError]
) -> None:
    record = world.record()
    with pytest.raises(error):
        world.attach(record, name, content, **paper)
    assert world.files() == []
    world.assert_settled()
    [event] = world.events(action="attach")
    assert (event.outcome, event.reason, event.patient_id) == ("refused", error.code, record.patient_id)


def test_a_description_of_a_thousand_characters_is_taken(world: World) -> None:
    assert len(world.attach(world.record(), description="x" * 1000).description or "") == 1000


def test_edit_changes_only_what_is_named(world: World) -> None:
    file = world.attach(world.record(), description="Old", category="referral")
    world.documents().edit(file.id, {"description": "New"})
    changed = world.documents().get(file.id)
    assert (changed.description, changed.category, changed.file_name) == ("New", "referral", "letter.pdf")


def test_edit_clears_with_an_empty_text(world: World) -> None:
    file = world.attach(world.record(), description="Old", category="referral")
    changed = world.documents().edit(file.id, {"description": "", "category": None})
    assert (changed.description, changed.category) == (None, None)


def test_an_editor_changes_back_nothing_that_somebody_else_changed_meanwhile(world: World) -> None:
    file = world.attach(world.record(), "a.pdf")
    seen = {"file_name": "a.pdf", "category": "", "description": ""}
    world.documents().edit(file.id, {"description": "From the front desk"}, seen)
    changed = world.documents().edit(file.id, {"file_name": "b.pdf", "category": "", "description": ""}, seen)
    assert (changed.file_name, changed.description) == ("b.pdf", "From the front desk")


def test_an_editor_does_not_overwrite_what_somebody_else_wrote_meanwhile(world: World) -> None:
    file = world.attach(world.record())
    world.documents().edit(file.id, {"description": "Theirs"}, {"description": ""})
    with pytest.raises(Conflict, match="changed by someone else"):
        world.documents().edit(file.id, {"description": "Mine"}, {"description": ""})
    assert world.documents().get(file.id).description == "Theirs"


@pytest.mark.parametrize(
    ("wanted", "kept"), [("Referral", "Referral.pdf"), ("Plan.docx", "Plan.docx.pdf"), ("a.PDF", "a.PDF")]
)
def test_a_new_name_keeps_the_ending(world: World, wanted: str, kept: str) -> None:
    file = world.attach(world.record())
    assert world.documents().edit(file.id, {"file_name": wanted}).file_name == kept


def test_editing_never_touches_the_bytes(world: World) -> None:
    file = world.attach(world.record())
    before = content_of(world, file)
    world.documents().edit(file.id, {"file_name": "Other", "description": "x", "category": "summary"})
    assert content_of(world, file) == before


def test_a_document_in_the_trash_is_out_of_the_list_and_keeps_its_bytes(world: World) -> None:
    record = world.record()
    file = world.attach(record)
    before = content_of(world, file)
    trashed = world.documents().trash(file.id)
    assert trashed.file_path.startswith("trash/")
    assert listed(world, record.id) == []
    assert [other.id for other in listed(world, record.id, IN_TRASH)] == [file.id]
    assert content_of(world, file) == before
    world.assert_settled()


def test_a_restored_document_is_where_it_was_with_its_bytes(world: World) -> None:
    record = world.record()
    file = world.attach(record, description="Old", category="referral")
    before, uploaded_at, first_key = content_of(world, file), file.uploaded_at, file.file_path
    world.documents().trash(file.id)
    restored = world.documents().restore(file.id)
    assert content_of(world, restored) == before
    assert (restored.description, restored.category, restored.uploaded_at) == ("Old", "referral", uploaded_at)
    assert restored.file_path != first_key  # a pending removal of the first key can never hit it
    world.assert_settled()


def test_only_from_the_trash_is_a_document_deleted_for_ever(world: World) -> None:
    file = world.attach(world.record())
    with pytest.raises(Conflict):
        world.documents().purge(file.id)
    world.documents().trash(file.id)
    world.documents().purge(file.id)
    assert world.files() == []
    assert list(world.parts.storages.default.keys()) == []
    with pytest.raises(NotFound):
        world.documents().get(file.id)
    world.assert_settled()


def test_a_document_moved_by_two_at_once_is_moved_once(world: World) -> None:
    file = world.attach(world.record())
    file_id, actor = file.id, world.actor()
    ready, outcomes = threading.Barrier(4), []

    def trash() -> None:
        with world.app.app_context():
            service = world.documents()
            service.actor = actor
            ready.wait()
            try:
                service.trash(file_id)
                outcomes.append("moved")
            except Conflict:
                outcomes.append("refused")

    run_at_once([trash] * 4)
    assert sorted(outcomes) == ["moved"] + ["refused"] * 3
    world.assert_settled()


def test_purging_and_restoring_at_once_ends_in_one_of_the_two(world: World) -> None:
    record, actor = world.record(), world.actor()
    for _ in range(8):
        file_id = world.documents().trash(world.attach(record).id).id
        ready = threading.Barrier(4)
        outcomes: list[str] = []

        def race(verb: str, file_id: int = file_id, ready: Any = ready, outcomes: Any = outcomes) -> None:
            with world.app.app_context():
                service = world.documents()
                service.actor = actor
                ready.wait()
                try:
                    getattr(service, verb)(file_id)
                    outcomes.append(verb)
                except (Conflict, NotFound):
                    outcomes.append("refused")

        run_at_once([partial(race, verb) for verb in ("purge", "restore") * 2])
        [won] = [verb for verb in outcomes if verb != "refused"]
        left = listed(world, record.id)
        assert [file.id for file in left] == ([file_id] if won == "restore" else [])
        for file in left:
            world.documents().trash(file.id)
            world.documents().purge(file.id)
        world.assert_settled()


def test_counts_come_in_one_statement_and_leave_out_what_is_not_ones_own(
    world: World, statements: Callable[[], list[str]]
) -> None:
    patient = world.patient()
    records = [world.record(patient=patient) for _ in range(3)]
    theirs = world.record(patient=world.patient(STRANGER), email=STRANGER)
    world.attach(records[0])
    world.attach(records[0])
    world.attach(records[1])
    kind, service = world.kind(), world.documents()
    ids, theirs_id = [record.id for record in records], theirs.id
    executed = statements()
    counts = service.count(kind, [*ids, theirs_id, 999_999])
    assert counts == {ids[0]: 2, ids[1]: 1, ids[2]: 0}
    assert len([statement for statement in executed if statement.startswith("SELECT")]) == 1


def test_every_verb_leaves_an_event_with_who_what_and_where(world: World) -> None:
    record = world.record()
    file = world.attach(record)
    service = world.documents()
    service.open(file.id)
    service.edit(file.id, {"description": "New"})
    service.trash(file.id)
    service.restore(file.id)
    service.trash(file.id)
    service.purge(file.id)
    events = world.events(file_id=file.id)
    assert [event.action for event in events] == ["attach", "download", "edit", "delete", "restore", "delete", "purge"]
    for event in events:
        assert (event.actor_id, event.patient_id, event.entity_id) == (world.user().id, record.patient_id, record.id)
        assert event.personal == ({"address": "192.0.2.7"} if event.action == "purge" else {})
        assert event.request_id
        assert event.outcome == "done"


def test_a_refusal_leaves_an_event_for_the_owner_to_see(world: World) -> None:
    file = world.attach(world.record())
    with pytest.raises(NotFound):
        world.documents(STRANGER).open(file.id)
    [event] = world.events(actor_id=world.user(STRANGER).id)
    assert (event.action, event.outcome, event.file_id, event.patient_id) == (
        "download", "refused", file.id, file.patient_id,
    )  # fmt: skip


def test_the_same_refusal_within_a_minute_is_one_event(world: World) -> None:
    file = world.attach(world.record())
    for _ in range(3):
        with pytest.raises(NotFound):
            world.documents(STRANGER).open(file.id)
    assert len(world.events(actor_id=world.user(STRANGER).id)) == 1


def test_opening_again_within_a_minute_is_one_event(world: World) -> None:
    file = world.attach(world.record())
    for _ in range(3):
        world.documents().open(file.id)
    assert len(world.events(action="download")) == 1


def test_record_trashed_while_a_document_is_added_keeps_it_out(world: World) -> None:
    record, service = world.record(), world.documents()
    permit = service.authorize_upload(world.kind(), record.id, 1000, files=1)
    staged = service.stage(permit)
    staged.write(samples.pdf())
    world.records().delete(world.kind(), record.id)
    with pytest.raises(Conflict, match="in the trash"):
        service.attach(permit, staged, UploadMetadata("Letter.pdf"))
    assert world.files() == []
    world.assert_settled()
