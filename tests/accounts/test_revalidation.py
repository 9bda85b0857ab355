"""A change that ends after its account was disabled, or its token revoked, changes nothing."""

from collections.abc import Callable
from datetime import timedelta
from typing import Any

import pytest

from medfiles import clock
from medfiles.accounts import api_tokens
from medfiles.accounts import service as accounts
from medfiles.database.session import db
from medfiles.documents.bulk import BulkService
from medfiles.documents.rules import UploadMetadata
from medfiles.errors import MedfilesError, NotFound, SignedOut
from medfiles.models import PatientShare
from medfiles.permissions import Actor
from tests.support.factories import World

pytestmark = pytest.mark.database
NORA, OTTO = "nora@sample.example", "otto@sample.example"


def by_token(world: World, **limits: Any) -> tuple[Actor, int]:
    token, text = api_tokens.create(world.actor(), "Scanner", "write", **limits)
    identity = api_tokens.authenticate(text)
    assert identity
    return identity.actor, token.id


def upload(world: World, actor: Actor, meanwhile: Callable[[], object]) -> Callable[[], object]:
    """Begin an upload, let something happen while it is received, and return how it ends."""
    record, service = world.record(), world.documents()
    service.actor = actor
    permit = service.authorize_upload(world.kind(), record.id, 100, files=1)
    staged = service.stage(permit)
    staged.write(b"A note that comes too late.")
    meanwhile()
    return lambda: service.attach(permit, staged, UploadMetadata("Note.txt"))


def test_upload_ending_after_its_account_was_disabled_is_refused(world: World) -> None:
    with pytest.raises(SignedOut):
        upload(world, world.actor(), lambda: accounts.disable(NORA))()
    world.assert_settled()
    assert world.files() == []
    assert [event.reason for event in world.events(action="attach")] == ["signed-out"]


def test_upload_ending_after_its_token_was_revoked_is_refused(world: World) -> None:
    actor, number = by_token(world)
    with pytest.raises(SignedOut, match="revoked"):
        upload(world, actor, lambda: api_tokens.revoke(world.actor(), number))()
    world.assert_settled()
    assert world.files() == []


def test_upload_ending_after_its_token_expired_is_refused(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    actor, _ = by_token(world, lifetime=timedelta(hours=1))
    finish = upload(world, actor, lambda: None)
    ahead = clock.now() + timedelta(hours=2)
    monkeypatch.setattr("medfiles.permissions.now", lambda: ahead)
    with pytest.raises(SignedOut):
        finish()
    assert world.files() == []


def test_upload_by_a_valid_token_is_stored(world: World) -> None:
    actor, _ = by_token(world)
    upload(world, actor, lambda: None)()
    assert len(world.files()) == 1


CHANGES = ("trash", "restore", "purge", "edit", "cancel", "trash many", "restore many", "purge many", "categorise")
AT_ONCE = ("purge", "edit", "cancel")  # check nothing before their transaction


@pytest.mark.parametrize("change", CHANGES)
def test_change_of_a_disabled_account_is_refused(world: World, change: str) -> None:
    """Access is checked before the change and again in its transaction: here only the second check can refuse."""
    refused(world, change, lambda: accounts.disable(NORA), SignedOut, NORA)


@pytest.mark.parametrize("change", CHANGES)
def test_change_after_access_was_revoked_is_refused(world: World, change: str) -> None:
    def revoke() -> None:
        db.session.execute(db.delete(PatientShare))
        db.session.commit()

    refused(world, change, revoke, NotFound, OTTO)


def refused(world: World, change: str, meanwhile: Callable[[], None], error: type[MedfilesError], email: str) -> None:
    patient = world.patient()
    record, kind = world.record(patient=patient), world.kind()
    world.share(patient, OTTO, "edit")
    service, file = world.bulk(email), world.attach(record, email=email, idempotency_key="try")
    if change.startswith(("restore", "purge")):
        service.trash(file.id)
    before = [(row.deleted_at, row.category) for row in world.files()]
    changes: dict[str, Callable[[], object]] = {
        "trash": lambda: service.trash(file.id),
        "restore": lambda: service.restore(file.id),
        "purge": lambda: service.purge(file.id),
        "edit": lambda: service.edit(file.id, {"category": "referral"}),
        "cancel": lambda: service.cancel(kind, record.id, "try"),
        "trash many": lambda: service.trash_many(kind, record.id, [file.id]),
        "restore many": lambda: service.restore_many(kind, record.id, [file.id]),
        "purge many": lambda: service.purge_many(kind, record.id, [file.id]),
        "categorise": lambda: service.categorise(kind, record.id, [file.id], "referral"),
    }
    if change in AT_ONCE:
        meanwhile()
    else:
        after_the_first_check(service, meanwhile)
    with pytest.raises(error):
        changes[change]()
    world.assert_settled()
    assert [(row.deleted_at, row.category) for row in world.files()] == before


def after_the_first_check(service: BulkService, meanwhile: Callable[[], None]) -> None:
    load = service._row

    def checked(model: Any, number: int, lock: bool) -> Any:
        found = load(model, number, lock)
        service._row = load  # type: ignore[method-assign]
        db.session.expunge(found[0])
        meanwhile()
        return found

    service._row = checked  # type: ignore[method-assign]
