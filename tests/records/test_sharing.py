"""Access given by a patient's owner: what it opens, when it ends, and what the owner hears of it."""

import re
from collections.abc import Callable
from dataclasses import replace
from datetime import datetime, timedelta
from typing import Any

import pytest

from medfiles.accounts import api_tokens
from medfiles.accounts import service as accounts
from medfiles.clock import now
from medfiles.documents.rules import UploadMetadata
from medfiles.errors import NotFound, Rejected
from medfiles.records.sharing import MOST, Grant, ShareService, given_by_token
from tests.support.api_client import problem, script
from tests.support.factories import World, details_of, run_at_once

pytestmark = pytest.mark.database

OTTO, NOBODY = "otto@sample.example", "nobody@sample.example"


def shares(world: World, email: str = "nora@sample.example") -> ShareService:
    return ShareService(world.actor(email), world.parts.registry, world.parts.storages)


def give(world: World, patient_id: int, level: str, expires_at: datetime | None = None) -> Grant:
    """Invite Otto, who accepts."""
    grant, _ = shares(world).grant(patient_id, OTTO, level, expires_at)
    return shares(world, OTTO).accept(grant.share.id)


def test_giving_it_again_changes_what_there_is(world: World) -> None:
    patient, _ = world.patient(), world.user(OTTO)
    first, made = shares(world).grant(patient.id, OTTO, "view")
    again, new = shares(world).grant(patient.id, OTTO.upper(), "edit", now() + timedelta(days=1))
    assert (made, new, again.share.id, again.share.level) == (True, False, first.share.id, "edit")
    assert len(shares(world).list(patient.id)) == 1


def test_access_ends_at_its_moment(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    patient, _ = world.patient(), world.user(OTTO)
    ends = now() + timedelta(hours=1)
    give(world, patient.id, "edit", ends)
    assert world.records(OTTO).patient(patient.id)
    monkeypatch.setattr("medfiles.permissions.now", lambda: ends)
    with pytest.raises(NotFound):
        world.records(OTTO).patient(patient.id)


def test_an_upload_under_way_is_refused_once_access_was_taken_back(world: World) -> None:
    record, _ = world.record(), world.user(OTTO)
    grant = give(world, record.patient_id, "edit")
    service = world.documents(OTTO)
    permit = service.authorize_upload(world.kind(), record.id, 100, files=1)
    staged = service.stage(permit)
    staged.write(b"A note that comes too late.")
    shares(world).revoke(grant.share.id)
    with pytest.raises(NotFound):
        service.attach(permit, staged, UploadMetadata("Note.txt"))
    world.assert_settled()
    assert world.files() == []


@pytest.mark.parametrize("by", ["nora@sample.example", OTTO])
def test_access_is_revoked_by_the_owner_or_given_up_through_its_own_patient_only(world: World, by: str) -> None:
    patient, another, _ = world.patient(), world.patient(first_name="Max"), world.user(OTTO)
    grant = give(world, patient.id, "view")
    with pytest.raises(NotFound):
        shares(world, by).revoke(grant.share.id, another.id)
    assert world.records(OTTO).patient(patient.id)
    shares(world, by).revoke(grant.share.id)
    assert shares(world).list(patient.id) == []
    with pytest.raises(NotFound):
        world.records(OTTO).patient(patient.id)


@pytest.mark.parametrize("email", ["", "no address", "otto@", "@sample.example", "x" * 255])
def test_what_is_no_address_is_refused(world: World, email: str) -> None:
    with pytest.raises(Rejected) as refused:
        shares(world).grant(world.patient().id, email, "view")
    assert "email" in refused.value.fields


def test_addresses_with_and_without_an_account_look_alike(world: World) -> None:
    disabled = "disabled@sample.example"
    for known in (OTTO, disabled):
        world.user(known)
    accounts.disable(disabled)
    addresses = (OTTO, disabled, NOBODY)
    seen = [told(world, f"owner-{number}@sample.example", email) for number, email in enumerate(addresses)]
    assert seen[0] == seen[1] == seen[2]
    assert "Pending" in seen[0][1][0]


def told(world: World, owner: str, email: str) -> tuple[Any, ...]:
    """Return what an owner is told about an invitation: answers, pages, JSON and events."""
    patient_id = world.patient(owner).id
    browser, by, path = (
        world.browser(owner, htmx=False),
        script(world, owner, "share"),
        f"/patients/{patient_id}/people",
    )
    before = len(world.events())
    given = browser.post(path, email=email, level="view")
    again = browser.post(path, email=email.upper(), level="edit")
    page, listed = browser.get(path).text, by.get(f"/patients/{patient_id}/shares").get_json()
    changed = by.post(f"/patients/{patient_id}/shares", {"email": email, "level": "view"})
    token = api_tokens.list_tokens(world.actor(owner))[0]
    given_by = [(given.email, patient) for given, patient in given_by_token(world.actor(owner), token.id)]
    elsewhere = [browser.get(page).text for page in ("/", f"/patients/{patient_id}", f"/patients/{patient_id}/history")]
    removed = browser.post(path, remove=listed[0]["id"])
    activity = browser.get(f"/patients/{patient_id}/activity").text
    answers = [(one.status_code, plain(str(one.location), email)) for one in (given, again, changed, removed)]
    said = (page, str(listed), changed.text, activity, str(given_by), *elsewhere)
    texts = [plain(text.replace(owner, "OWNER"), email) for text in said]
    events = [(one.action, one.outcome, plain(str(details_of(one)), email)) for one in world.events()[before:]]
    return answers, texts, events


@pytest.mark.parametrize(("scope", "status"), [("read", 403), ("write", 403), ("share", 201)])
def test_only_tokens_of_the_scope_share_give_access(world: World, scope: str, status: int) -> None:
    patient_id, _ = world.patient().id, world.user(OTTO)
    path, by = f"/patients/{patient_id}/shares", script(world, scope=scope)
    answer = by.post(path, {"email": OTTO, "level": "view"})
    assert (answer.status_code, len(shares(world).list(patient_id))) == (status, int(status == 201))
    assert status == 201 or problem(answer, 403, "scope")
    shares(world).grant(patient_id, OTTO, "view")
    assert by.post(path, {"email": OTTO, "level": "edit"}).status_code == (200 if status == 201 else 403)
    assert shares(world).list(patient_id)[0].share.level == ("edit" if status == 201 else "view")


def plain(text: str, email: str) -> str:
    """Without the address, ids, times and tokens."""
    text = re.sub(re.escape(email), "ADDRESS", text, flags=re.IGNORECASE)
    tokens = r'(csrf(_token)?" value|data-mf-csrf|data-mf-token)="[^"]*"|csrf_token=[^&"]*'
    return re.sub(rf"\d+|{tokens}|>[A-Z]{{2}}</span>", "", text)


def test_granting_never_looks_for_the_account(world: World, statements: Callable[[], list[str]]) -> None:
    patient, heard = world.patient(), statements()
    counts = []
    for email in (OTTO, NOBODY):
        world.user(OTTO)
        service = shares(world)
        del heard[:]
        service.grant(patient.id, email, "view")
        counts.append([statement for statement in heard if "audit" not in statement])
    assert counts[0] == counts[1]


def test_access_begins_when_the_account_accepts(world: World) -> None:
    patient, _ = world.patient(), world.user(OTTO)
    grant, _ = shares(world).grant(patient.id, OTTO, "edit")
    with pytest.raises(NotFound):
        world.records(OTTO).patient(patient.id)
    [invitation] = shares(world, OTTO).invitations()
    assert (invitation.patient, invitation.owner) == ("Ella Sample", "nora@sample.example")
    shares(world, OTTO).accept(grant.share.id)
    shares(world, OTTO).accept(grant.share.id)
    assert world.records(OTTO).patient(patient.id)
    assert shares(world, OTTO).invitations() == []
    assert [event.outcome for event in world.events(action="accept-share")] == ["done"]


def test_an_unknown_address_waits_for_its_account(world: World) -> None:
    patient = world.patient()
    grant, new = shares(world).grant(patient.id, "Max@Sample.Example", "view")
    assert (new, grant.email) == (True, "Max@Sample.Example")
    assert [one.share.id for one in shares(world, "max@sample.example").invitations()] == [grant.share.id]
    accepted = shares(world, "max@sample.example").accept(grant.share.id)
    assert accepted.email == "max@sample.example"
    assert [one.email for one in shares(world).list(patient.id)] == ["max@sample.example"]


@pytest.mark.parametrize("verb", ["accept", "decline"])
def test_nobody_else_answers_an_invitation(world: World, verb: str) -> None:
    patient, _ = world.patient(), world.user(OTTO)
    grant, _ = shares(world).grant(patient.id, OTTO, "edit")
    for other in ("nora@sample.example", "eve@sample.example"):
        with pytest.raises(NotFound):
            getattr(shares(world, other), verb)(grant.share.id)
    limited = replace(world.actor(OTTO), only_patient=patient.id + 1)
    with pytest.raises(NotFound):
        getattr(ShareService(limited, world.parts.registry, world.parts.storages), verb)(grant.share.id)
    assert len(shares(world, OTTO).invitations()) == 1


def test_a_declined_invitation_is_gone_and_the_owner_reads_of_it(world: World) -> None:
    patient, _ = world.patient(), world.user(OTTO)
    grant, _ = shares(world).grant(patient.id, OTTO, "edit")
    shares(world, OTTO).decline(grant.share.id)
    assert shares(world).list(patient.id) == []
    with pytest.raises(NotFound):
        shares(world, OTTO).accept(grant.share.id)
    page = world.client().get(f"/patients/{patient.id}/activity").text
    assert f"<strong>{OTTO}</strong> declined the invitation" in " ".join(page.split())


@pytest.mark.parametrize("ended", ["revoked", "expired"])
def test_an_invitation_that_ended_cannot_be_accepted(world: World, monkeypatch: pytest.MonkeyPatch, ended: str) -> None:
    patient, _ = world.patient(), world.user(OTTO)
    ends = now() + timedelta(hours=1)
    grant, _ = shares(world).grant(patient.id, OTTO, "edit", ends)
    if ended == "revoked":
        shares(world).revoke(grant.share.id)
    else:
        monkeypatch.setattr("medfiles.records.sharing.now", lambda: ends)
    assert shares(world, OTTO).invitations() == []
    with pytest.raises(NotFound):
        shares(world, OTTO).accept(grant.share.id)


def test_there_is_no_level_beyond_editing(world: World) -> None:
    patient, _ = world.patient(), world.user(OTTO)
    with pytest.raises(Rejected) as refused:
        shares(world).grant(patient.id, OTTO, "owner")
    assert "level" in refused.value.fields


def test_there_is_a_most_of_people(world: World) -> None:
    patient, _ = world.patient(), world.user(OTTO)
    for number in range(MOST):
        world.share(patient, f"person-{number}@sample.example")
    with pytest.raises(Rejected):
        shares(world).grant(patient.id, OTTO, "view")
    grant, new = shares(world).grant(patient.id, "person-0@sample.example", "edit")
    assert (grant.share.level, new) == ("edit", False)


def test_two_givings_at_once_make_one_share(world: World) -> None:
    patient, _, owner = world.patient(), world.user(OTTO), world.actor()
    number, results = patient.id, list[bool]()

    def give() -> None:
        with world.app.app_context():
            service = ShareService(owner, world.parts.registry, world.parts.storages)
            results.append(service.grant(number, OTTO, "view")[1])

    run_at_once([give] * 4)
    assert sorted(results) == [False, False, False, True]
    assert len(shares(world).list(number)) == 1


def test_the_owner_reads_who_was_given_what_and_who_opened_it(world: World) -> None:
    record, _ = world.record(), world.user(OTTO)
    file = world.attach(record)
    grant = give(world, record.patient_id, "view")
    world.documents(OTTO).open(file.id)
    shares(world).revoke(grant.share.id)
    page = world.client().get(f"/patients/{record.patient_id}/activity").text
    told = " ".join(page.split())
    assert f"<strong>You</strong> gave access to “{OTTO}”" in told
    assert f"<strong>{OTTO}</strong> downloaded “letter.pdf”" in told
    assert f"<strong>You</strong> revoked access for “{OTTO}”" in told


def test_what_was_refused_stands_in_the_trail(world: World) -> None:
    patient = world.patient()
    with pytest.raises(Rejected):
        shares(world).grant(patient.id, NOBODY, "owner")
    [event] = world.events(action="share")
    assert (event.outcome, event.patient_id) == ("refused", patient.id)
    assert details_of(event) == {"name": "nobody@sample.example"}
