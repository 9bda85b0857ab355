"""The verbs on documents, as the doors call them."""

import hashlib
import threading
from functools import partial
from typing import Any

import pytest

from medfiles.documents.listing import ListQuery
from medfiles.documents.rules import UploadMetadata
from medfiles.documents.service import NEWEST, RecordTotals
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
from medfiles.record_types.media_types import BY_EXTENSION
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


@pytest.mark.parametrize("kind", KINDS)
def test_an_attached_document_is_read_back_byte_for_byte(world: World, kind: str) -> None:
    record = world.record(kind)
    for extension in world.kind(kind).accepts[: world.kind(kind).max_files]:
        content = samples.SAMPLES[extension]()
        file = world.attach(record, f"paper{extension.upper()}", content)
        assert content_of(world, file) == content
        assert (file.file_size, file.sha256) == (len(content), hashlib.sha256(content).hexdigest())
        assert file.file_type == BY_EXTENSION[extension].name
    world.assert_settled()


def test_totals_that_were_counted_before_an_upload_are_older_than_those_after_it(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    record, additional = world.record(), world.parts.registry.additional
    later: list[RecordTotals] = []

    def another_upload(kind: str, record_id: int) -> int:
        monkeypatch.undo()
        world.attach(record)
        later.append(world.documents().record_totals(world.kind(), record.id))
        return 0

    monkeypatch.setattr(type(additional), "count", lambda _, kind, record_id: another_upload(kind, record_id))
    earlier = world.documents().record_totals(world.kind(), record.id)
    assert (earlier.live, later[0].live) == (0, 1)
    assert earlier.at < later[0].at


def test_ids_begin_above_those_of_the_older_feature_and_are_never_given_twice(world: World) -> None:
    record = world.record()
    first = world.attach(record)
    world.documents().trash(first.id)
    world.documents().purge(first.id)
    assert (first.id, world.attach(record).id) == (FIRST_FILE_ID, FIRST_FILE_ID + 1)


def test_details_are_kept_and_the_key_of_the_bytes_tells_nothing_about_them(world: World) -> None:
    details: dict[str, Any] = {"description": "  From Dr. Sample\r\nsigned ", "category": "referral"}
    file = world.attach(world.record(), "Maria HIV result.pdf", **details)
    assert (file.description, file.category) == ("From Dr. Sample\nsigned", "referral")
    assert ("Maria" in file.file_path, file.file_path.startswith("files/visits/")) == (False, True)
    assert len(world.attach(world.record(), description="x" * 1000).description or "") == 1000


@pytest.mark.parametrize(
    ("name", "content", "paper", "error"),
    [
        ("virus.exe", b"MZ", {}, TypeNotAllowed),
        ("scan.tiff", samples.tiff(), {}, TypeNotAllowed),  # fine for lab results, not for visits
        ("noending", b"\1\2\3\4", {}, TypeNotAllowed),
        ("letter.pdf", b"", {}, EmptyFile),
        ("letter.pdf", samples.pdf()[:300], {}, ContentMismatch),
        ("letter.pdf", samples.package({"a": "b"}), {}, ContentMismatch),
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


def test_edit_changes_only_what_is_named_and_clears_with_an_empty_text(world: World) -> None:
    file = world.attach(world.record(), description="Old", category="referral")
    before = content_of(world, file)
    world.documents().edit(file.id, {"description": "New"})
    changed = world.documents().get(file.id)
    assert (changed.description, changed.category, changed.file_name) == ("New", "referral", "letter.pdf")
    changed = world.documents().edit(file.id, {"description": "", "category": None})
    assert (changed.description, changed.category) == (None, None)
    for wanted, kept in (("Referral", "Referral.pdf"), ("Plan.docx", "Plan.docx.pdf"), ("a.PDF", "a.PDF")):
        assert world.documents().edit(file.id, {"file_name": wanted}).file_name == kept
    assert content_of(world, file) == before


def test_a_form_neither_undoes_nor_overwrites_what_another_editor_changed_since_it_was_opened(world: World) -> None:
    file = world.attach(world.record(), "a.pdf")
    seen = {"file_name": "a.pdf", "category": "", "description": ""}
    world.documents().edit(file.id, {"description": "Theirs"}, seen)
    changed = world.documents().edit(file.id, {"file_name": "b.pdf", "category": "", "description": ""}, seen)
    assert (changed.file_name, changed.description) == ("b.pdf", "Theirs")
    with pytest.raises(Conflict, match="changed this after you opened it"):
        world.documents().edit(file.id, {"description": "Mine"}, {"description": ""})
    assert world.documents().get(file.id).description == "Theirs"


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


def test_counts_leave_out_records_of_others(world: World) -> None:
    patient = world.patient()
    records = [world.record(patient=patient) for _ in range(3)]
    theirs = world.record(patient=world.patient(STRANGER), email=STRANGER)
    for record in (records[0], records[0], records[1]):
        world.attach(record)
    ids = [record.id for record in records]
    assert world.documents().count(world.kind(), [*ids, theirs.id, 999_999]) == {ids[0]: 2, ids[1]: 1, ids[2]: 0}


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


def test_opening_and_refusing_leave_one_event_a_minute_for_the_owner_to_see(world: World) -> None:
    file = world.attach(world.record())
    for _ in range(3):
        world.documents().open(file.id)
        with pytest.raises(NotFound):
            world.documents(STRANGER).open(file.id)
    events = world.events(action="download")
    assert [(event.outcome, event.file_id, event.patient_id) for event in events] == [
        ("done", file.id, file.patient_id), ("refused", file.id, file.patient_id),
    ]  # fmt: skip


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
