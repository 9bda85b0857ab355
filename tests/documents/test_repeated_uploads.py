"""Retries of an upload, and its cancel, after the document went elsewhere in between."""

from dataclasses import dataclass
from typing import Any

import pytest
from flask_migrate import downgrade, upgrade
from sqlalchemy import delete, select

from medfiles.database.session import db, transaction
from medfiles.models import EntityFile, PatientShare, UploadKey
from tests.support.api_client import Script, problem, script
from tests.support.factories import Browser, World

pytestmark = pytest.mark.database

EDITH = "edith@sample.example"
KEY, CONTENT = "first-try", b"Letter"


@dataclass
class Sender:
    """A document uploaded by an account that the patient is shared with, and this account's script and browser."""

    world: World
    record: Any
    by: Script
    browser: Browser
    file_id: int = 0

    def send(self, content: bytes = CONTENT, record_id: int | None = None) -> Any:
        return self.by.upload(f"/visit/{record_id or self.record.id}/files", "letter.txt", content, KEY)

    def cancel(self, record_id: int | None = None) -> int:
        path = f"/documents/visit/{record_id or self.record.id}/bulk"
        return self.browser.post(path, action="cancel", idempotency_key=KEY).status_code

    def level(self, level: str | None) -> None:
        """Change what the sender may do; None takes the access away."""
        with transaction() as session:
            session.execute(delete(PatientShare))
        if level:
            self.world.share(self.world.records().patient(self.record.patient_id).patient, EDITH, level)

    def rehome(self) -> int:
        """Put the document on another record, as a move does."""
        other = self.world.record(patient=self.world.records().patient(self.record.patient_id).patient).id
        with transaction() as session:
            session.get_one(EntityFile, self.file_id).entity_id = other
        return int(other)


@pytest.fixture
def sender(world: World) -> Sender:
    record = world.record()
    made = Sender(world, record, script(world, EDITH), world.browser(EDITH))
    made.level("edit")
    answer = made.send()
    assert answer.status_code == 201
    made.file_id = answer.get_json()["id"]
    return made


def test_a_retry_of_a_moved_upload_returns_the_file_where_it_is_now(sender: Sender) -> None:
    other = sender.rehome()
    sender.world.records().delete(sender.world.kind(), sender.record.id)
    answer = sender.send()
    assert (answer.status_code, answer.get_json()["id"], answer.get_json()["entity_id"]) == (200, sender.file_id, other)
    assert len(sender.world.files()) == 1


def test_the_target_of_a_key_is_the_first_one_wherever_the_document_is(sender: Sender) -> None:
    other = sender.rehome()
    assert problem(sender.send(record_id=other), 422, "rejected")
    assert problem(sender.send(content=b"Other"), 422, "rejected")
    assert sender.cancel(other) == 422


def test_a_retry_of_a_trashed_upload_is_a_conflict(sender: Sender) -> None:
    sender.world.documents().trash(sender.file_id)
    assert "in the trash" in problem(sender.send(), 409, "conflict")["detail"]
    sender.world.documents().restore(sender.file_id)
    assert sender.send().status_code == 200


def test_a_retry_of_a_purged_upload_does_not_store_it_again(sender: Sender) -> None:
    sender.world.documents().trash(sender.file_id)
    sender.world.documents().purge(sender.file_id)
    assert problem(sender.send(), 404, "not-found")
    assert sender.world.files() == []
    assert db.session.scalars(select(UploadKey.sha256)).all() == [None]
    sender.world.assert_settled()


@pytest.mark.parametrize(("level", "status"), [("view", 200), (None, 404)])
def test_a_retry_needs_sight_of_the_document_only(sender: Sender, level: str | None, status: int) -> None:
    sender.level(level)
    assert sender.send().status_code == status
    assert len(sender.world.files()) == 1


def test_viewers_do_not_learn_that_their_upload_is_in_the_trash(sender: Sender) -> None:
    sender.world.documents().trash(sender.file_id)
    sender.level("view")
    assert problem(sender.send(), 404, "not-found")


def test_a_moved_upload_can_be_cancelled_by_its_first_target(sender: Sender) -> None:
    sender.rehome()
    assert [sender.cancel(), sender.cancel()] == [200, 200]
    assert sender.world.files() == []
    assert sender.send().status_code == 409


def test_a_trashed_upload_cannot_be_cancelled(sender: Sender) -> None:
    sender.world.documents().trash(sender.file_id)
    assert sender.cancel() == 409
    assert len(sender.world.files()) == 1


def test_a_purged_upload_cannot_be_cancelled(sender: Sender) -> None:
    sender.world.documents().trash(sender.file_id)
    sender.world.documents().purge(sender.file_id)
    assert sender.cancel() == 404


@pytest.mark.parametrize(("level", "status"), [("view", 403), (None, 404)])
def test_an_upload_is_cancelled_only_by_those_who_may_still_edit_it(
    sender: Sender, level: str | None, status: int
) -> None:
    sender.level(level)
    assert sender.cancel() == status
    assert len(sender.world.files()) == 1


def test_the_migration_takes_over_the_keys_of_stored_documents(sender: Sender) -> None:
    db.session.remove()
    downgrade(revision="0011")
    upgrade()
    assert sender.send().status_code == 200
    assert sender.send(content=b"Other").status_code == 422
