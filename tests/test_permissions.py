"""Who may do what: the owner, those it is shared with for as long as it is shared, and nobody else."""

from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest
from sqlalchemy import select
from sqlalchemy.exc import IntegrityError

from medfiles import permissions
from medfiles.accounts import service as accounts
from medfiles.clock import now
from medfiles.database.session import db
from medfiles.errors import Forbidden, NotFound
from medfiles.models import Patient
from medfiles.permissions import Action, Actor
from tests.support.factories import World

pytestmark = pytest.mark.database

OTTO = "otto@sample.example"
HOUR = timedelta(hours=1)


def require(actor: Actor, action: Action, patient_id: int) -> Action:
    return permissions.require_level(permissions.level_for(actor, patient_id), action)


def may(world: World, patient: Patient, email: str = OTTO) -> set[Action]:
    """What `require` lets this account do; the query of patients must agree with it."""
    actor, allowed = world.actor(email), set()
    for action in Action:
        try:
            require(actor, action, patient.id)
        except (NotFound, Forbidden):
            continue
        allowed.add(action)
    listed: dict[Action, Any] = {
        action: db.session.scalars(permissions.patients_for(actor, action)).all() for action in Action
    }
    assert {action for action, ids in listed.items() if ids == [patient.id]} == allowed
    return allowed


def test_the_owner_may_do_everything(world: World) -> None:
    assert may(world, world.patient(), "nora@sample.example") == set(Action)


def test_nobody_else_may_even_look(world: World) -> None:
    patient = world.patient()
    assert may(world, patient) == set()
    with pytest.raises(NotFound):
        require(world.actor(OTTO), Action.VIEW, patient.id)


@pytest.mark.parametrize(("level", "allowed"), [("view", {Action.VIEW}), ("edit", {Action.VIEW, Action.EDIT})])
@pytest.mark.parametrize("ends", [None, HOUR])
def test_a_share_allows_its_level(world: World, level: str, allowed: set[Action], ends: timedelta | None) -> None:
    patient = world.patient()
    world.share(patient, OTTO, level, now() + ends if ends else None)
    assert may(world, patient) == allowed


@pytest.mark.parametrize("level", ["view", "edit"])
def test_a_share_that_has_ended_allows_nothing(world: World, level: str) -> None:
    patient = world.patient()
    world.share(patient, OTTO, level, now() - timedelta(seconds=1))
    assert may(world, patient) == set()


def test_a_share_ends_by_the_clock(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    patient = world.patient()
    world.share(patient, OTTO, "edit", now() + HOUR)
    assert Action.EDIT in may(world, patient)
    monkeypatch.setattr(permissions, "now", lambda: now() + HOUR)
    assert may(world, patient) == set()


def test_who_may_look_is_told_so_and_not_that_it_is_not_there(world: World) -> None:
    patient = world.patient()
    world.share(patient, OTTO)
    with pytest.raises(Forbidden):
        require(world.actor(OTTO), Action.EDIT, patient.id)


def test_a_share_is_of_one_patient_only(world: World) -> None:
    shared, other = world.patient(), world.patient(first_name="Theo")
    world.share(shared, OTTO, "edit")
    assert may(world, other) == set()
    assert [summary.patient.id for summary in world.records(OTTO).patients()] == [shared.id]


def test_a_share_with_oneself_takes_nothing_away(world: World) -> None:
    patient = world.patient()
    world.share(patient, "nora@sample.example", "view")
    assert may(world, patient, "nora@sample.example") == set(Action)
    assert len(world.records().patients()) == 1


def test_there_is_one_share_with_each_account(world: World) -> None:
    patient = world.patient()
    world.share(patient, OTTO)
    with pytest.raises(IntegrityError):
        world.share(patient, OTTO, "edit")
    db.session.rollback()


@pytest.mark.parametrize("level", ["owner", "admin", ""])
def test_a_share_has_no_other_level(world: World, level: str) -> None:
    patient = world.patient()
    with pytest.raises(IntegrityError):
        world.share(patient, OTTO, level)
    db.session.rollback()


def test_an_admin_sees_no_more_than_anybody(world: World) -> None:
    patient = world.patient()
    world.user(OTTO)
    accounts.set_admin(OTTO, True)
    assert permissions.level_for(accounts.actor_for(accounts.find(OTTO)), patient.id) is None


def test_a_patient_that_is_not_there_is_nobodys(world: World) -> None:
    with pytest.raises(NotFound):
        require(world.actor(), Action.VIEW, 999_999)


def test_ending_a_share_ends_it_for_a_page_that_is_open(world: World) -> None:
    patient = world.patient()
    record = world.record(patient=patient)
    world.share(patient, OTTO, "edit")
    client = world.client(OTTO)
    assert client.get(f"/visit/{record.id}").status_code == 200
    db.session.rollback()
    db.session.execute(db.delete(db.metadata.tables["patient_shares"]))
    db.session.commit()
    assert client.get(f"/visit/{record.id}").status_code == 404


def test_pages_say_whose_patient_it_is(world: World) -> None:
    patient = world.patient()
    world.share(patient, OTTO)
    assert "Shared with you, view only" in world.client(OTTO).get("/").text
    assert "Shared with you, view only" in world.client(OTTO).get(f"/patients/{patient.id}").text
    assert "hared with you" not in world.client().get("/").text


# --- a token for one patient ----------------------------------------------------------------------------------------


def test_token_for_one_patient_sees_that_patient_only(world: World) -> None:
    seen, other = world.patient(), world.patient(first_name="Theo")
    actor = replace(world.actor(), only_patient=seen.id)
    assert permissions.level_for(actor, seen.id) == Action.OWN
    assert permissions.level_for(actor, other.id) is None
    listed: list[Any] = list(db.session.scalars(permissions.patients_for(actor)))
    assert listed == [seen.id]


def test_token_for_one_patient_finds_no_record_or_document_of_another(world: World) -> None:
    seen, other = world.patient(), world.patient(first_name="Theo")
    record = world.record(patient=other)
    [file_id] = world.store(record, "letter.txt")
    actor = replace(world.actor(), only_patient=seen.id)
    documents, records = replace(world.documents(), actor=actor), replace(world.records(), actor=actor)
    assert [summary.patient.id for summary in records.patients()] == [seen.id]
    assert dict(documents.count(world.kind(), [record.id])) == {}
    assert list(documents.recent()) == []
    for look in (lambda: records.get(world.kind(), record.id), lambda: documents.get(file_id)):
        with pytest.raises(NotFound):
            look()


def test_conditions_within_queries_of_patients_mean_their_rows(world: World) -> None:
    mine, theirs, actor = world.patient(OTTO), world.patient(), world.actor(OTTO)
    levels = select(Patient.id, permissions.level_sql(Patient.id)).order_by(Patient.id)
    found: Any = db.session.execute(levels, permissions.parameters(actor)).all()
    assert dict(found) == {mine.id: "owner", theirs.id: None}
    visible = select(Patient.id).where(permissions.can_view(actor, Patient.id)).order_by(Patient.id)
    assert db.session.scalars(visible).all() == [mine.id]
    world.share(theirs, OTTO)
    visible = select(Patient.id).where(permissions.can_view(actor, Patient.id)).order_by(Patient.id)
    assert db.session.scalars(visible).all() == [mine.id, theirs.id]
