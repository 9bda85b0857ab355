"""The personal part of an event: kept apart, covered by a salted hash, erased with what it is about."""

import json
from collections.abc import Callable
from dataclasses import replace
from datetime import timedelta
from pathlib import Path

import pytest
from flask_migrate import downgrade, upgrade
from sqlalchemy import delete, func, select, text, update
from sqlalchemy.exc import DBAPIError

from medfiles.audit import chain, event_log
from medfiles.audit.chain import Violation
from medfiles.audit.event_log import AuditTarget
from medfiles.database.session import db, transaction
from medfiles.models import AuditEvent, AuditPrivate, AuditSeal
from medfiles.operations import housekeeping
from tests.audit.test_chain import unguarded
from tests.support.factories import World

pytestmark = pytest.mark.database

NAME = "Letter of Dr. Ärmel.pdf"
OLD_LOG = json.loads((Path(__file__).parent / "data" / "sealed_log_0010.json").read_text())


def everything() -> str:
    """All that is stored about events, as text."""
    db.session.rollback()
    rows = [
        *db.session.execute(select(*AuditEvent.__table__.columns)),
        *db.session.execute(select(*AuditPrivate.__table__.columns)),
    ]
    db.session.rollback()
    return json.dumps([list(row) for row in rows], default=str, ensure_ascii=False)


def verified(world: World) -> Violation | None:
    chain.seal(world.parts.sealer)
    return chain.verify(world.parts.sealer)


def test_names_and_addresses_are_not_in_the_sealed_row(world: World) -> None:
    world.attach(world.record(), NAME)
    event = world.events(action="attach")[0]
    assert NAME not in json.dumps([str(getattr(event, column.name)) for column in AuditEvent.__table__.columns])
    assert event.personal["name"] == NAME


def test_events_without_anything_personal_have_no_private_row(world: World) -> None:
    with transaction():
        event_log.record(None, "backup", AuditTarget(), documents=3)
    assert world.events()[-1].private is None
    assert world.events()[-1].private_hash is None


def test_many_events_of_one_statement_keep_their_own_names(world: World) -> None:
    with transaction():
        event_log.record_each(None, "view", [(AuditTarget(1, name=f"{at}.pdf"), {"at": at}) for at in range(1200)])
    found = world.events(action="view")
    numbers = [event.details["at"] for event in found if event.details]
    assert [event.personal["name"] for event in found] == [f"{number}.pdf" for number in numbers]
    assert len(found) == 1200


def test_permanent_deletion_erases_the_names_and_the_log_still_verifies(world: World) -> None:
    file = world.attach(world.record(), NAME)
    world.documents().edit(file.id, {"name": "Ärmel, second version.pdf"})
    assert verified(world) is None
    world.documents().trash(file.id)
    world.documents().purge(file.id)
    assert verified(world) is None
    assert "Ärmel" not in everything()
    assert [event.action for event in world.events(file_id=file.id)] == ["attach", "edit", "delete", "purge"]


def test_expiry_erases_the_names_of_documents_and_records(world: World) -> None:
    record = world.record(reason="Ärmel follow-up")
    world.attach(record, NAME)
    world.records().delete(world.kind(), record.id)
    assert "Ärmel" in everything()
    housekeeping.purge_expired(world.parts.registry, world.parts.storages, timedelta())
    assert "Ärmel" not in everything()
    assert verified(world) is None


def test_cancelling_an_upload_erases_its_name(world: World) -> None:
    record = world.record()
    world.attach(record, NAME, idempotency_key="one-key")
    world.documents().cancel(world.kind(), record.id, "one-key")
    assert NAME not in everything()


def test_other_documents_keep_their_names(world: World) -> None:
    record = world.record()
    gone, kept = world.attach(record, NAME), world.attach(record, "Kept.pdf")
    world.documents().trash(gone.id)
    world.documents().purge(gone.id)
    assert world.events(file_id=kept.id)[0].personal["name"] == "Kept.pdf"


def test_a_changed_name_is_found(world: World) -> None:
    file = world.attach(world.record(), NAME)
    assert verified(world) is None
    event = world.events(file_id=file.id)[0]
    unguarded(update(AuditPrivate).where(AuditPrivate.event_id == event.id).values(content={"name": "Other.pdf"}))
    found = verified(world)
    assert found
    assert (found.kind, found.event_id) == ("altered-private", event.id)


def test_a_private_row_put_beside_an_event_without_one_is_found(world: World) -> None:
    with transaction():
        event_log.record(None, "backup", AuditTarget())
    assert verified(world) is None
    number = world.events()[-1].id
    with db.engine.begin() as connection:
        connection.execute(AuditPrivate.__table__.insert(), {"event_id": number, "salt": "0", "content": {"name": "X"}})
    found = verified(world)
    assert found
    assert (found.kind, found.event_id) == ("altered-private", number)


def test_the_database_refuses_to_change_a_private_row_but_not_to_erase_it(world: World) -> None:
    world.attach(world.record(), NAME)
    with pytest.raises(DBAPIError, match="append-only"), db.engine.begin() as connection:
        connection.execute(text("UPDATE audit_private SET salt = salt"))
    with db.engine.begin() as connection:
        connection.execute(delete(AuditPrivate))
    assert verified(world) is None


def test_the_hash_cannot_be_guessed_without_the_salt() -> None:
    content = {"name": NAME}
    assert event_log.private_hash("a", content) != event_log.private_hash("b", content)


def test_a_read_by_a_token_is_recorded_apart_from_its_owners(world: World) -> None:
    file = world.attach(world.record(), NAME)
    by_token = replace(world.actor(), token="Stolen", token_id=7)
    for actor in (world.actor(), by_token, world.actor(), by_token):
        event_log.record_read(actor, "download", event_log.subject_of(file))
    assert [event.token_id for event in world.events(action="download")] == [None, 7]


# --- databases of earlier versions ----------------------------------------------------------------------------------


@pytest.fixture
def earlier(make_world: Callable[..., World]) -> World:
    """A database of revision 0010 with a log that was sealed then, and its checkpoint."""
    world = make_world(AUDIT_KEY="fixture")
    db.session.remove()
    downgrade(revision="0010")
    with db.engine.begin() as connection:
        for table in ("audit_events", "audit_seals"):
            for row in OLD_LOG[table]:
                names, values = ", ".join(row), ", ".join(f":{name}" for name in row)
                connection.execute(text(f"INSERT INTO {table} ({names}) VALUES ({values})"), row)
        if connection.dialect.name == "postgresql":
            connection.execute(text("SELECT setval('audit_events_id_seq', (SELECT max(id) FROM audit_events))"))
    (Path(world.app.instance_path) / "audit-anchor").write_text(OLD_LOG["checkpoint"] + "\n")
    return world


def test_a_sealed_log_of_the_earlier_format_verifies_after_the_upgrade(earlier: World) -> None:
    upgrade()
    newest = db.session.scalars(select(AuditSeal).order_by(AuditSeal.position.desc()).limit(1)).one()
    checkpoint = earlier.parts.sealer.anchor.read()
    assert checkpoint
    assert (checkpoint.position, checkpoint.mac) == (newest.position, newest.mac)
    assert verified(earlier) is None
    last = OLD_LOG["audit_seals"][-1]
    [event] = earlier.events(action="reseal")
    assert event.details == {"old_position": last["position"], "old_mac": last["mac"]}
    assert NAME in [event.personal.get("name") for event in earlier.events(action="download")]
    assert {event.personal.get("address") for event in earlier.events(action="sign-in")} == {"198.51.100.3"}
    assert [event.token_id is not None for event in earlier.events(action="download")] == [True, True]


def test_events_that_waited_for_their_seal_are_sealed_after_the_upgrade(earlier: World) -> None:
    upgrade()
    assert chain.seal(earlier.parts.sealer) == 1
    assert chain.verify(earlier.parts.sealer) is None


def test_names_of_what_was_deleted_permanently_before_the_upgrade_are_erased(earlier: World) -> None:
    with db.engine.begin() as connection:
        connection.execute(
            text(
                "INSERT INTO audit_events (at, action, outcome, file_id, details) "
                "SELECT at, 'purge', 'done', file_id, details FROM audit_events WHERE action = 'attach'"
            )
        )
    upgrade()
    assert NAME not in everything()
    assert "Ella Sample" in everything()


@pytest.mark.parametrize(
    "damage",
    [
        "UPDATE audit_events SET action = 'edit' WHERE id = 3",
        "DELETE FROM audit_events WHERE id = 3",
        "DELETE FROM audit_seals WHERE position > 3",
    ],
)
def test_an_upgrade_stops_at_a_log_that_does_not_verify(earlier: World, damage: str) -> None:
    unguarded(text(damage))
    with pytest.raises(SystemExit, match="does not verify"):
        upgrade()
    db.session.remove()
    with db.engine.connect() as connection:
        assert connection.execute(text("SELECT version_num FROM alembic_version")).scalar() == "0010"


def test_an_operator_can_accept_a_log_that_does_not_verify(earlier: World) -> None:
    unguarded(text("UPDATE audit_events SET action = 'edit' WHERE id = 3"))
    upgrade(x_arg=["accept-audit-finding"])
    assert verified(earlier) is None


def test_a_log_verifies_after_going_back_and_forth(earlier: World) -> None:
    upgrade()
    before = everything()
    downgrade(revision="0010")
    upgrade()
    assert verified(earlier) is None
    assert [event.action for event in earlier.events(action="reseal")] == ["reseal"] * 3
    assert NAME in before
    assert NAME in everything()


def test_a_seal_of_an_unknown_format_is_named(world: World) -> None:
    world.record()
    assert verified(world) is None
    unguarded(update(AuditSeal).where(AuditSeal.position == 1).values(format=99))
    found = verified(world)
    assert found
    assert found.kind == "unknown-format"


def test_a_new_column_leaves_earlier_seals_as_they_are(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    world.record()
    assert verified(world) is None
    monkeypatch.setitem(chain.FORMATS, 3, (*chain.FORMATS[2], "token_id"))
    monkeypatch.setattr(chain, "FORMAT", 3)
    world.record()
    assert verified(world) is None
    db.session.rollback()
    assert db.session.scalar(select(func.count(AuditSeal.position)).where(AuditSeal.format == 3)) == 2
