"""Uploads that were given up: nothing of them is kept, wherever they were by then, and nothing else is touched."""

import io
import threading
from collections.abc import Callable, Collection
from contextlib import suppress
from dataclasses import dataclass
from datetime import timedelta
from functools import partial
from typing import Any

import pytest
from werkzeug.test import TestResponse

from medfiles.clock import now
from medfiles.database.session import db
from medfiles.documents.rules import UploadMetadata
from medfiles.documents.service import DocumentService
from medfiles.errors import Conflict, NotFound
from medfiles.models import EntityFile
from medfiles.operations import housekeeping
from medfiles.storage import journal
from tests.support.factories import Browser, World, heard, run_at_once, words

pytestmark = pytest.mark.database

NORA, VERA = "nora@sample.example", "vera@sample.example"
KEY, CONTENT = "first-try", b"Letter"
ROUNDS = 12


@dataclass
class Desk:
    """One record, and the browser of who adds documents to it and thinks better of it."""

    world: World
    browser: Browser
    record: Any

    def __post_init__(self) -> None:
        self.record_id: int = self.record.id

    @property
    def path(self) -> str:
        return f"/documents/visit/{self.record_id}"

    def send(self, key: str | None = KEY, content: bytes = CONTENT) -> TestResponse:
        return self.browser.upload(f"{self.path}/files", "letter.txt", content, key)

    def cancel(self, key: str = KEY, record_id: int | None = None) -> TestResponse:
        path = f"/documents/visit/{record_id or self.record_id}/bulk"
        return self.browser.post(path, action="cancel", idempotency_key=key)

    def lent_to(self, email: str, level: str) -> "Desk":
        self.world.share(self.world.records().patient(self.record.patient_id).patient, email, level)
        return Desk(self.world, self.world.browser(email), self.record)

    def assert_empty(self) -> None:
        """No row, no object, no temporary file, no entry of the journal."""
        assert self.world.files() == []
        assert list(self.world.parts.storages.default.keys()) == []
        self.world.assert_settled()


@pytest.fixture
def desk(world: World) -> Desk:
    return Desk(world, world.browser(), world.record())


class Interrupted(io.BytesIO):
    """A body during which something else happens."""

    def __init__(self, content: bytes, meanwhile: Callable[[], Any]) -> None:
        super().__init__(content)
        self.jobs = [meanwhile]

    def readinto(self, buffer: Any, /) -> int:
        if self.jobs:
            run_at_once([self.jobs.pop()])
        return super().readinto(buffer)


def on_its_way(world: World, record_id: int, key: str, email: str = NORA) -> Callable[[], EntityFile]:
    """An upload whose bytes are here; to be called when its document is to be stored."""
    service, kind = world.documents(email), world.kind()
    permit = service.authorize_upload(kind, record_id, len(CONTENT), files=1, retry_of=key)
    staged = service.stage(permit)
    staged.write(CONTENT)
    return lambda: service.attach(permit, staged, UploadMetadata("letter.txt", idempotency_key=key))[0]


# --- wherever it is -----------------------------------------------------------------------------------------------


def test_a_stored_upload_is_removed_with_its_bytes(desk: Desk) -> None:
    assert desk.send().status_code == 201
    assert [desk.cancel().status_code for _ in range(3)] == [200] * 3
    desk.assert_empty()


def test_an_upload_under_way_is_refused_when_it_arrives(desk: Desk) -> None:
    arrive = on_its_way(desk.world, desk.record_id, KEY)
    assert desk.cancel().status_code == 200
    with pytest.raises(Conflict, match="canceled"):
        arrive()
    desk.assert_empty()


def test_the_sender_of_what_arrives_too_late_is_told(desk: Desk) -> None:
    body = Interrupted(CONTENT, desk.cancel)
    headers = {"X-CSRFToken": desk.browser.token, "HX-Request": "true", "Idempotency-Key": KEY}
    headers |= {"Content-Disposition": 'attachment; filename="letter.txt"', "Content-Type": "application/octet-stream"}
    environ = {"wsgi.input": body, "CONTENT_LENGTH": str(len(CONTENT))}
    answer = desk.browser.client.post(f"{desk.path}/files", headers=headers, environ_overrides=environ)
    assert (answer.status_code, body.jobs) == (409, [])
    assert heard(answer) == {"documents:error": {"message": "This upload was canceled.", "code": "conflict"}}
    desk.assert_empty()


def test_another_try_of_what_was_taken_back_is_not_kept_either(desk: Desk) -> None:
    desk.send()
    arrive = on_its_way(desk.world, desk.record_id, KEY)
    desk.cancel()
    with pytest.raises(Conflict, match="canceled"):
        arrive()
    assert desk.send().status_code == 409
    desk.assert_empty()


def test_a_key_cancelled_before_its_upload_refuses_that_upload_and_no_other(desk: Desk) -> None:
    answer = desk.cancel()
    assert (answer.status_code, heard(answer)["documents:changed"]["count"]) == (200, 0)
    assert desk.send().status_code == 409
    desk.assert_empty()
    assert desk.send("second-try").status_code == 201
    assert [file.idempotency_key for file in desk.world.files()] == ["second-try"]
    desk.world.assert_settled()


def test_what_was_cancelled_long_ago_is_forgotten(desk: Desk) -> None:
    desk.cancel()
    housekeeping.forget_cancelled(now() - timedelta(minutes=1))
    assert desk.send().status_code == 409
    housekeeping.forget_cancelled(now() + timedelta(minutes=1))
    assert desk.send().status_code == 201


# --- races --------------------------------------------------------------------------------------------------------


def at_once(world: World, *jobs: Callable[[DocumentService], Any]) -> None:
    """Each with a service of its own; what one does may keep the other from its own."""
    ready, actor = threading.Barrier(len(jobs)), world.actor()

    def run(job: Callable[[DocumentService], Any]) -> None:
        with world.app.app_context():
            service = DocumentService(actor, world.parts.registry, world.parts.storages, sandbox=world.parts.sandbox)
            ready.wait(60)
            with suppress(Conflict, NotFound):
                job(service)

    run_at_once([partial(run, job) for job in jobs])


@pytest.mark.parametrize("late", [True, False])
def test_an_upload_and_its_cancel_at_once_leave_nothing(
    desk: Desk, monkeypatch: pytest.MonkeyPatch, late: bool
) -> None:
    """`late`: the bytes are in their place, and the row and the cancel run for the record's lock."""
    world, kind, record_id, storage = desk.world, desk.world.kind(), desk.record_id, desk.world.parts.storages.default
    stored, commit = threading.Semaphore(0), storage.commit

    def committed(*arguments: Any) -> Any:
        answer = commit(*arguments)
        stored.release()
        return answer

    def attach(service: DocumentService, key: str) -> None:
        permit = service.authorize_upload(kind, record_id, len(CONTENT), files=1, retry_of=key)
        staged = service.stage(permit)
        staged.write(CONTENT)
        service.attach(permit, staged, UploadMetadata("letter.txt", idempotency_key=key))

    def give_up(service: DocumentService, key: str) -> None:
        assert not late or stored.acquire(timeout=60)
        service.cancel(kind, record_id, key)

    monkeypatch.setattr(storage, "commit", committed)
    for number in range(ROUNDS):
        at_once(world, partial(attach, key=f"try-{number}"), partial(give_up, key=f"try-{number}"))
        desk.assert_empty()


def test_a_document_that_is_being_moved_is_taken_back_from_where_it_went(
    desk: Desk, monkeypatch: pytest.MonkeyPatch
) -> None:
    desk.send()
    [file_id] = [file.id for file in desk.world.files()]
    desk.world.documents().trash(file_id)
    looked, hasty, settle, give_up = threading.Event(), [], journal.settle, DocumentService._discard
    cancelling = threading.Thread(target=desk.cancel)

    def settled(keys: Collection[str]) -> None:
        settle(keys)
        cancelling.start()
        hasty.append(looked.wait(0.5))  # before the move is committed nobody can know where the bytes are

    def noted(*arguments: Any) -> Any:
        keys = give_up(*arguments)
        looked.set()
        return keys

    monkeypatch.setattr(journal, "settle", settled)
    monkeypatch.setattr(DocumentService, "_discard", noted)
    desk.world.documents().restore(file_id)
    cancelling.join(60)
    assert (hasty, looked.is_set()) == ([False], True)
    desk.assert_empty()


def test_two_cancels_at_once_are_one(desk: Desk) -> None:
    kind, record_id, done = desk.world.kind(), desk.record_id, []

    def give_up(service: DocumentService) -> None:
        service.cancel(kind, record_id, KEY)
        done.append(KEY)

    desk.send()
    at_once(desk.world, *[give_up] * 4)
    assert done == [KEY] * 4
    desk.assert_empty()


# --- what is not one's to take back -------------------------------------------------------------------------------


def test_the_key_of_somebody_elses_upload_is_not_touched(desk: Desk) -> None:
    desk.send()
    arrive = on_its_way(desk.world, desk.record_id, "second-try")
    vera = desk.lent_to(VERA, "edit")
    assert [vera.cancel(key).status_code for key in (KEY, "second-try")] == [200, 200]
    assert arrive().idempotency_key == "second-try"
    assert len(desk.world.files()) == 2
    desk.world.assert_settled()


def test_a_key_used_on_another_record_is_refused(desk: Desk) -> None:
    desk.send()
    other = desk.world.record()
    answer = desk.cancel(record_id=other.id)
    assert (answer.status_code, "already used" in answer.text) == (422, True)
    assert len(desk.world.files()) == 1
    assert desk.send().status_code == 200  # and is still good for a retry where it was used
    desk.world.assert_settled()


@pytest.mark.parametrize(("minutes", "status", "kept"), [(59, 200, 0), (61, 409, 1)])
def test_an_upload_is_cancelled_within_an_hour_only(desk: Desk, minutes: int, status: int, kept: int) -> None:
    desk.send()
    desk.world.files()[0].uploaded_at = now() - timedelta(minutes=minutes)
    db.session.commit()
    answer = desk.cancel()
    assert (answer.status_code, len(desk.world.files())) == (status, kept)
    if kept:
        assert "Move it to trash instead." in heard(answer)["documents:error"]["message"]
    assert desk.send().status_code == (200 if kept else 409)
    desk.world.assert_settled()


def test_a_key_that_is_not_possible_is_refused(desk: Desk) -> None:
    desk.send()
    for key in ("", "x" * 256, "ключ", "two\twords"):
        answer = desk.cancel(key)
        assert (answer.status_code, "idempotency_key" in answer.text) == (422, True)
    assert len(desk.world.files()) == 1


# --- what is said about it ----------------------------------------------------------------------------------------


def test_the_answer_is_the_figures_around_the_list(desk: Desk) -> None:
    desk.send()
    desk.send("second-try", b"Another letter")
    answer = desk.cancel()
    assert heard(answer) == {"documents:changed": {"type": "visit", "id": desk.record_id, "count": 1}}
    assert f'id="mf-manager-visit-{desk.record_id}-head"' in answer.text
    assert "1 of 8" in words(answer)
    assert "data-mf-row" not in answer.text


def test_the_audit_log_has_what_was_cancelled_and_what_arrived_too_late(desk: Desk) -> None:
    desk.send()
    [file_id] = [file.id for file in desk.world.files()]
    desk.cancel()
    [event] = desk.world.events(action="cancel")
    assert (event.outcome, event.actor_id, event.file_id) == ("done", desk.world.user().id, file_id)
    assert (event.entity_id, event.patient_id) == (desk.record_id, desk.record.patient_id)
    activity = desk.browser.get(f"/patients/{event.patient_id}/activity").text
    assert f"canceled the upload of document {file_id}" in activity
    desk.send()
    [event] = desk.world.events(action="attach", outcome="refused")
    assert (event.reason, event.personal.get("name")) == ("conflict", "letter.txt")
