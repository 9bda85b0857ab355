"""Access given by a patient's owner: what it opens, when it ends, and what the owner hears of it."""

from datetime import timedelta

import pytest

from medfiles.accounts import service as accounts
from medfiles.clock import now
from medfiles.documents.rules import UploadMetadata
from medfiles.errors import NotFound, Rejected
from medfiles.records.sharing import MOST, ShareService
from tests.support.factories import World, details_of, run_at_once

pytestmark = pytest.mark.database

OTTO = "otto@sample.example"


def shares(world: World, email: str = "nora@sample.example") -> ShareService:
    return ShareService(world.actor(email), world.parts.registry, world.parts.storages)


def test_giving_it_again_changes_what_there_is(world: World) -> None:
    patient, _ = world.patient(), world.user(OTTO)
    first, made = shares(world).grant(patient.id, OTTO, "view")
    again, new = shares(world).grant(patient.id, OTTO.upper(), "edit", now() + timedelta(days=1))
    assert (made, new, again.share.id, again.share.level) == (True, False, first.share.id, "edit")
    assert len(shares(world).list(patient.id)) == 1


def test_access_ends_at_its_moment(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    patient, _ = world.patient(), world.user(OTTO)
    ends = now() + timedelta(hours=1)
    shares(world).grant(patient.id, OTTO, "edit", ends)
    assert world.records(OTTO).patient(patient.id)
    monkeypatch.setattr("medfiles.permissions.now", lambda: ends)
    with pytest.raises(NotFound):
        world.records(OTTO).patient(patient.id)


def test_taken_back_is_taken_back_at_once(world: World) -> None:
    patient, _ = world.patient(), world.user(OTTO)
    grant, _ = shares(world).grant(patient.id, OTTO, "edit")
    assert world.records(OTTO).patient(patient.id)
    shares(world).revoke(grant.share.id)
    with pytest.raises(NotFound):
        world.records(OTTO).patient(patient.id)


def test_an_upload_under_way_is_refused_once_access_was_taken_back(world: World) -> None:
    record, _ = world.record(), world.user(OTTO)
    grant, _ = shares(world).grant(record.patient_id, OTTO, "edit")
    service = world.documents(OTTO)
    permit = service.authorize_upload(world.kind(), record.id, 100, files=1)
    staged = service.stage(permit)
    staged.write(b"A note that comes too late.")
    shares(world).revoke(grant.share.id)
    with pytest.raises(NotFound):
        service.attach(permit, staged, UploadMetadata("Note.txt"))
    world.assert_settled()
    assert world.files() == []


def test_whoever_has_access_can_give_it_up(world: World) -> None:
    patient, _ = world.patient(), world.user(OTTO)
    grant, _ = shares(world).grant(patient.id, OTTO, "view")
    shares(world, OTTO).revoke(grant.share.id)
    assert shares(world).list(patient.id) == []


def test_a_share_is_taken_back_through_its_own_patient_only(world: World) -> None:
    patient, another = world.patient(), world.patient(first_name="Max")
    world.share(patient, OTTO)
    with pytest.raises(NotFound):
        shares(world).revoke(shares(world).list(patient.id)[0].share.id, another.id)
    assert len(shares(world).list(patient.id)) == 1


@pytest.mark.parametrize("email", ["nobody@sample.example", "", "no address", "a\0b@sample.example", "x" * 255])
def test_an_address_without_an_account_is_refused(world: World, email: str) -> None:
    with pytest.raises(Rejected) as refused:
        shares(world).grant(world.patient().id, email, "view")
    assert "email" in refused.value.fields


def test_a_disabled_account_is_given_nothing(world: World) -> None:
    world.user(OTTO)
    accounts.disable(OTTO)
    with pytest.raises(Rejected) as refused:
        shares(world).grant(world.patient().id, OTTO, "view")
    assert refused.value.message.startswith("There is no account")


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
    grant, _ = shares(world).grant(record.patient_id, OTTO, "view")
    world.documents(OTTO).open(file.id)
    shares(world).revoke(grant.share.id)
    page = world.client().get(f"/patients/{record.patient_id}/activity").text
    told = " ".join(page.split())
    assert f"<strong>You</strong> gave access to “{OTTO}”" in told
    assert f"<strong>{OTTO}</strong> downloaded “letter.pdf”" in told
    assert f"<strong>You</strong> revoked access of “{OTTO}”" in told


def test_what_was_refused_stands_in_the_trail(world: World) -> None:
    patient = world.patient()
    with pytest.raises(Rejected):
        shares(world).grant(patient.id, "nobody@sample.example", "view")
    [event] = world.events(action="share")
    assert (event.outcome, event.patient_id, details_of(event)) == (
        "refused",
        patient.id,
        {"name": "nobody@sample.example"},
    )
