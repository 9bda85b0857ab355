"""Moving a record with its documents to another patient, and taking it back."""

from datetime import timedelta
from typing import Any

import pytest
from sqlalchemy import delete, update

from medfiles.antivirus.policy import INFECTED
from medfiles.database.session import db, transaction
from medfiles.errors import Conflict, Forbidden, NotFound, Quarantined
from medfiles.models import EntityFile, PatientShare
from medfiles.operations import housekeeping
from medfiles.records.moving import RecordMoves
from medfiles.search.query import SearchQuery
from tests.support.factories import World

pytestmark = pytest.mark.database

NORA, BEN = "nora@sample.example", "ben@sample.example"


def moves(world: World, email: str = NORA) -> RecordMoves:
    return RecordMoves(world.actor(email), world.parts.registry, world.parts.storages)


def patients_of(world: World, visit: Any, ids: list[int]) -> set[int]:
    db.session.rollback()
    db.session.refresh(visit)
    return {visit.patient_id, *(file.patient_id for file in world.files() if file.id in ids)}


@pytest.fixture
def visit(world: World) -> Any:
    return world.record("visit", world.patient(), reason="Zebra bite")


@pytest.fixture
def ids(world: World, visit: Any) -> list[int]:
    return world.store(visit, "Letter.txt", "Bill.txt")


def test_record_moves_with_all_its_documents_also_those_in_the_trash(world: World, visit: Any, ids: list[int]) -> None:
    world.documents().trash(ids[1])
    ella, ben = visit.patient_id, world.patient(first_name="Ben")
    _, number = moves(world).move(world.kind(), visit.id, ben.id)
    assert number == 2
    assert patients_of(world, visit, ids) == {ben.id}
    logged = {(event.action, event.patient_id) for event in world.events() if event.action.startswith("move-")}
    assert logged == {
        ("move-record-out", ella), ("move-record-in", ben.id), ("move-out", ella), ("move-in", ben.id),
    }  # fmt: skip
    world.assert_settled()


def test_moved_record_is_found_only_under_its_new_patient(world: World, visit: Any) -> None:
    ella, ben = visit.patient_id, world.patient(first_name="Ben")
    moves(world).move(world.kind(), visit.id, ben.id)
    found = [world.searches().search(SearchQuery("zebra", patient=one), 10).total for one in (ella, ben.id)]
    assert found == [0, 1]


def test_record_in_the_trash_or_with_malware_stays(world: World, visit: Any, ids: list[int]) -> None:
    ben = world.patient(first_name="Ben")
    with transaction() as session:
        session.execute(update(EntityFile).where(EntityFile.id == ids[0]).values(scan=INFECTED))
    with pytest.raises(Quarantined):
        moves(world).move(world.kind(), visit.id, ben.id)
    world.records().delete(world.kind(), visit.id)
    with pytest.raises(Conflict):
        moves(world).move(world.kind(), visit.id, ben.id)


def test_only_the_owner_moves_a_record_to_a_patient_of_another_account(world: World, visit: Any) -> None:
    other = world.patient(BEN, "Ben")
    with pytest.raises(NotFound):
        moves(world).move(world.kind(), visit.id, other.id)
    world.share(world.records().patient(visit.patient_id).patient, BEN, "edit")
    with pytest.raises(Forbidden):
        moves(world, BEN).move(world.kind(), visit.id, other.id)


def given_away(world: World, visit: Any) -> Any:
    other = world.patient(BEN, "Ben")
    world.share(other, NORA, "edit")
    moves(world).move(world.kind(), visit.id, other.id)
    with transaction() as session:
        session.execute(delete(PatientShare).where(PatientShare.patient_id == other.id))
    return other


def test_former_owner_takes_a_record_back_from_the_trash(world: World, visit: Any, ids: list[int]) -> None:
    ella = visit.patient_id
    given_away(world, visit)
    world.records(BEN).delete(world.kind(), visit.id)
    purge = (world.parts.registry, world.parts.storages, timedelta(0))
    purged = housekeeping.purge_expired(*purge, force=True)
    assert (purged.documents, purged.records) == (0, 0)
    moves(world).take_back(world.kind(), visit.id)
    world.keep_house()
    assert patients_of(world, visit, ids) == {ella}
    assert [file.deleted_at for file in world.files()] == [None, None]
    assert {file.file_path.split("/")[0] for file in world.files()} == {"files"}
    world.assert_settled()


def test_record_with_documents_added_since_is_not_taken_back(world: World, visit: Any, ids: list[int]) -> None:
    given_away(world, visit)
    world.store(visit, "New.txt", email=BEN)
    with pytest.raises(Conflict):
        moves(world).take_back(world.kind(), visit.id)
    world.moving().take_back(ids[0])
    taken = next(file for file in world.files() if file.id == ids[0])
    assert taken.entity_type == "patient"


def test_new_owner_and_strangers_cannot_take_a_record_back(world: World, visit: Any) -> None:
    given_away(world, visit)
    with pytest.raises(Conflict):
        moves(world, BEN).take_back(world.kind(), visit.id)
    with pytest.raises(NotFound):
        moves(world, "stranger@sample.example").take_back(world.kind(), visit.id)
