"""The trail's chain: whatever is changed, taken out, put in or cut off is noticed, and the first bad event is named."""

import hmac
import json
import socket
import threading
import time
import urllib.request
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import delete, func, inspect, select, text, update
from sqlalchemy.exc import DBAPIError, OperationalError

from medfiles import config
from medfiles.accounts import service as accounts
from medfiles.audit import chain, event_log
from medfiles.audit.chain import Violation
from medfiles.audit.checkpoint import FileAnchor, Head, SyslogAnchor, open_anchor
from medfiles.audit.event_log import AuditTarget
from medfiles.clock import now
from medfiles.database.session import db, transaction
from medfiles.errors import StorageError
from medfiles.models import AuditEvent, AuditSeal
from tests.support.factories import World
from tests.support.server import flask, serve

pytestmark = pytest.mark.database

Change = Callable[[], None]


def write(world: World, count: int = 1, **more: Any) -> None:
    with transaction():
        for number in range(count):
            event_log.record(world.actor(), "view", AuditTarget(1, "visit", 2, 3, name=f"Letter {number}.pdf"), **more)


def sealed(world: World, count: int = 5) -> World:
    write(world, count)
    assert chain.seal(world.parts.sealer) == count
    return world


def unguarded(*statements: Any) -> None:
    """What somebody does who has the database's own password."""
    db.session.rollback()
    with db.engine.begin() as connection:
        tables = {"audit_events", "audit_private", "audit_seals"} & set(inspect(connection).get_table_names())
        if db.engine.dialect.name == "postgresql":
            for table in tables:
                connection.execute(text(f"ALTER TABLE {table} DISABLE TRIGGER USER"))
        else:
            triggers = connection.execute(text("SELECT name FROM sqlite_master WHERE type = 'trigger'")).scalars().all()
            for name in triggers:
                connection.execute(text(f"DROP TRIGGER {name}"))
        for statement in statements:
            connection.execute(statement)
        if db.engine.dialect.name == "postgresql":
            for table in tables:
                connection.execute(text(f"ALTER TABLE {table} ENABLE TRIGGER USER"))


def check(world: World) -> Violation | None:
    return chain.verify(world.parts.sealer)


def event_at(position: int) -> int:
    return db.session.scalars(select(AuditSeal.event_id).where(AuditSeal.position == position)).one()


def test_every_event_is_sealed_once_and_an_unchanged_log_valid(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(chain, "BATCH", 3)
    sealed(world, 10)
    assert chain.seal(world.parts.sealer) == 0
    assert db.session.scalar(select(func.count(AuditSeal.position))) == 10
    assert check(world) is None


def test_the_first_altered_event_is_named_whichever_column_changed(world: World) -> None:
    values: dict[str, Any] = dict.fromkeys(("actor_id", "patient_id", "entity_id", "file_id"), 9)
    values |= dict.fromkeys(("action", "outcome", "reason"), "x")
    values |= {"at": now() - timedelta(days=1), "details": {"name": "Other.pdf"}}
    sealed(world, len(values))
    for position, (column, value) in reversed(list(enumerate(values.items(), 1))):
        unguarded(update(AuditEvent).where(AuditEvent.id == event_at(position)).values({column: value}))
        assert check(world) == Violation("altered", event_at(position), position)


def test_a_deleted_event_is_named_with_or_without_its_seal(world: World) -> None:
    sealed(world)
    gone = event_at(2)
    unguarded(delete(AuditEvent).where(AuditEvent.id == gone))
    assert check(world) == Violation("deleted", gone, 2)
    unguarded(delete(AuditSeal).where(AuditSeal.position == 2))
    assert check(world) == Violation("deleted", None, 2)


def test_events_that_changed_places_are_named(world: World) -> None:
    sealed(world)
    second, third = event_at(2), event_at(3)
    move = update(AuditSeal)
    unguarded(
        move.where(AuditSeal.position == 2).values(event_id=-1),
        move.where(AuditSeal.position == 3).values(event_id=second),
        move.where(AuditSeal.position == 2).values(event_id=third),
    )
    assert check(world) == Violation("altered", third, 2)


def test_a_tail_that_was_cut_off_is_missed(world: World) -> None:
    sealed(world)
    tail = [event_at(4), event_at(5)]
    unguarded(delete(AuditEvent).where(AuditEvent.id.in_(tail)), delete(AuditSeal).where(AuditSeal.position > 3))
    assert check(world) == Violation("cut-off", None, 4)


def test_a_chain_that_was_written_anew_with_the_key_is_not_that_of_the_anchor(world: World) -> None:
    sealed(world)
    last = event_at(5)
    unguarded(update(AuditEvent).where(AuditEvent.id == last).values(action="edit"), delete(AuditSeal))
    anchor = world.parts.sealer.anchor
    kept = anchor.read()
    chain.seal(world.parts.sealer, everything=True)
    assert kept
    anchor.write(kept)
    assert check(world) == Violation("other-chain", last, 5)


def test_without_an_anchor_the_check_says_so(world: World) -> None:
    sealed(world)
    (Path(world.app.instance_path) / "audit-anchor").unlink()
    assert check(world) == Violation("no-anchor")


def test_an_event_that_was_put_in_later_is_found(world: World) -> None:
    sealed(world)
    with transaction() as session:
        late = AuditEvent(action="view", outcome="done", at=now() - timedelta(hours=1))
        session.add(late)
        session.flush()
        number = late.id
    assert check(world) == Violation("not-sealed", number)


def test_events_that_become_visible_late_are_sealed_with_higher_places(world: World) -> None:
    sealed(world)
    gap = (db.session.scalar(select(func.max(AuditEvent.id))) or 0) + 2
    with transaction() as session:
        session.add(AuditEvent(id=gap, action="view", outcome="done"))
    assert chain.seal(world.parts.sealer) == 1
    with transaction() as session:
        session.add(AuditEvent(id=gap - 1, action="view", outcome="done"))
    assert chain.seal(world.parts.sealer) == 1
    assert [event_at(6), event_at(7)] == [gap, gap - 1]
    assert check(world) is None


def test_what_was_rolled_back_leaves_no_gap(world: World) -> None:
    sealed(world)
    with pytest.raises(ZeroDivisionError), transaction():
        event_log.record(world.actor(), "view", AuditTarget())
        db.session.flush()
        raise ZeroDivisionError
    sealed(world, 2)
    assert check(world) is None


def test_sealers_of_several_processes_take_turns(world: World) -> None:
    write(world, 40)

    def run(_: int) -> int:
        with world.app.app_context():
            return chain.seal(world.parts.sealer)

    with ThreadPoolExecutor(4) as pool:
        assert sum(pool.map(run, range(8))) == 40
    assert check(world) is None


def test_a_thread_seals_and_survives_an_unavailable_database(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(chain, "EVERY", 0.01)
    write(world, 3)
    stop, done, real, seal_once, tries = threading.Event(), threading.Event(), chain._unsealed, chain.seal, list[int]()

    def away_at_first(**options: Any) -> Any:
        tries.append(1)
        if len(tries) == 1:
            raise OperationalError("SELECT", {}, Exception("away"))
        return real(**options)

    def noted(sealer: Any) -> int:
        count = seal_once(sealer)
        done.set()
        return count

    monkeypatch.setattr(chain, "_unsealed", away_at_first)
    monkeypatch.setattr(chain, "seal", noted)
    thread = chain.start_sealing(world.app, stop)
    assert done.wait(20)
    stop.set()
    thread.join()
    assert (len(tries) > 1, chain.status().waiting) == (True, 0)


@pytest.mark.parametrize("table", ["audit_events", "audit_seals"])
@pytest.mark.parametrize("change", ["UPDATE {} SET {} = {}", "DELETE FROM {}"])
def test_the_database_itself_refuses_changes(world: World, table: str, change: str) -> None:
    sealed(world)
    column = "id" if table == "audit_events" else "position"
    with pytest.raises(DBAPIError, match="append-only"), db.engine.begin() as connection:
        connection.execute(text(change.format(table, column, column)))
    assert check(world) is None


def test_another_key_does_not_make_the_same_chain(world: World) -> None:
    sealed(world)
    other = chain.Sealer(chain.derive_key("another secret"), world.parts.sealer.anchor)
    assert chain.verify(other) == Violation("altered", event_at(1), 1)


def test_the_state_of_the_chain_is_known(world: World) -> None:
    sealed(world)
    write(world, 2)
    state = chain.status()
    assert (state.sealed, state.waiting, state.checked) == (5, 2, None)
    assert check(world) is None  # new events may wait for their seal
    checked = chain.status().checked
    assert checked
    assert checked.facts == {"finding": None}


# --- the anchor -----------------------------------------------------------------------------------------------------


def head(position: int) -> Head:
    return Head(position, f"{position:064}", "2026-01-01T00:00:00+00:00")


def test_the_newest_head_counts_and_a_line_that_was_cut_off_does_not(tmp_path: Path) -> None:
    anchor = FileAnchor(tmp_path / "anchor")
    assert anchor.read() is None
    for position in (1, 2, 3):
        anchor.write(head(position))
    with (tmp_path / "anchor").open("a") as file:
        file.write('{"position": 4, "ma')
    assert anchor.read() == head(3)


def test_the_file_is_shortened_and_keeps_the_newest(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("medfiles.audit.checkpoint.MAX_BYTES", 500)
    monkeypatch.setattr("medfiles.audit.checkpoint.KEPT_LINES", 2)
    anchor = FileAnchor(tmp_path / "anchor")
    for position in range(1, 30):
        anchor.write(head(position))
    assert anchor.read() == head(29)
    assert (tmp_path / "anchor").stat().st_size < 900


def test_a_bucket_keeps_the_newest_head_of_each_day(bucket: Callable[[], str], tmp_path: Path) -> None:
    anchor = open_anchor(bucket(), tmp_path)
    assert anchor.read() is None
    for position, day in ((7, "2026-01-01"), (8, "2026-01-02"), (9, "2026-01-02")):
        anchor.write(Head(position, "0" * 64, f"{day}T00:00:00+00:00"))
    assert anchor.read() == Head(9, "0" * 64, "2026-01-02T00:00:00+00:00")


def test_a_bucket_returns_the_head_that_was_written_last(bucket: Callable[[], str], tmp_path: Path) -> None:
    anchor = open_anchor(bucket(), tmp_path)
    anchor.write(Head(1, "aa", "2027-12-01T08:00:00+00:00"))  # the clock was ahead
    time.sleep(1.1)  # buckets store whole seconds
    anchor.write(Head(2, "bb", "2026-12-01T08:00:00+00:00"))
    assert anchor.read() == Head(2, "bb", "2026-12-01T08:00:00+00:00")


def test_a_bucket_that_is_away_is_said(bucket: Callable[[], str], tmp_path: Path) -> None:
    anchor = open_anchor(bucket().replace("documents", "nowhere"), tmp_path)
    with pytest.raises(StorageError):
        anchor.write(head(1))


def test_the_system_s_log_gets_the_head(tmp_path: Path) -> None:
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as log:
        log.bind(str(tmp_path / "log"))
        SyslogAnchor(str(tmp_path / "log")).write(head(7))
        assert f"medfiles: audit head 7:{head(7).mac}".encode() in log.recv(2000)


@pytest.mark.parametrize("place", ["file", "bucket"])
def test_changed_accounts_are_kept_beside_the_head(place: str, tmp_path: Path, request: pytest.FixtureRequest) -> None:
    anchor = open_anchor(request.getfixturevalue("bucket")() if place == "bucket" else "", tmp_path)
    assert anchor.changed_since("2026") == set()
    anchor.write(head(7))
    for day, numbers in enumerate(({4, 2}, {3}, {2, 9}), 1):
        anchor.write_changed(numbers, datetime(2026, 1, day, tzinfo=UTC))
    since = [anchor.changed_since(f"2026010{day}T000000.000000Z") for day in (1, 2, 3, 4)]
    assert since == [{2, 3, 4, 9}, {2, 3, 9}, {2, 9}, set()]
    assert anchor.read() == head(7)


def test_a_shortened_file_keeps_changed_accounts(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("medfiles.audit.checkpoint.MAX_BYTES", 500)
    monkeypatch.setattr("medfiles.audit.checkpoint.KEPT_LINES", 2)
    anchor = FileAnchor(tmp_path / "anchor")
    anchor.write_changed({7}, now())
    for position in range(1, 30):
        anchor.write(head(position))
    assert anchor.changed_since("2026") == {7}


def test_sealing_notes_which_accounts_changed(world: World) -> None:
    email = "nora@sample.example"
    world.attach(world.record())
    chain.seal(world.parts.sealer)
    assert world.parts.sealer.anchor.changed_since("2026") == set()
    accounts.disable(email)
    chain.seal(world.parts.sealer)
    assert world.parts.sealer.anchor.changed_since("2026") == {accounts.find(email).id}


# --- by command -----------------------------------------------------------------------------------------------------


def run(world: World, *arguments: str) -> Any:
    return world.app.test_cli_runner().invoke(args=["medfiles", "audit", *arguments])


def test_the_command_says_that_all_is_well_or_what_is_not(world: World) -> None:
    write(world, 3)
    assert json.loads(run(world, "seal", "--json").stdout) == {"sealed": 3}
    assert "All 3 sealed events are unchanged" in run(world, "verify").stdout
    unguarded(update(AuditEvent).where(AuditEvent.id == event_at(2)).values(action="edit"))
    done = run(world, "verify", "--json")
    finding = {"kind": "altered", "event": event_at(2), "position": 2}
    assert (done.exit_code, json.loads(done.stdout)["finding"]) == (1, finding)


def test_a_head_that_was_kept_elsewhere_replaces_the_anchor(world: World) -> None:
    sealed(world)
    last = world.parts.sealer.anchor.read()
    assert last
    assert run(world, "verify", "--head", f"{last.position}:{last.mac}").exit_code == 0
    assert run(world, "verify", "--head", f"{last.position + 1}:{last.mac}").exit_code == 1
    assert run(world, "verify", "--head", "five").exit_code == 2


def test_an_older_database_is_noticed_until_the_anchor_is_renewed(world: World) -> None:
    sealed(world)
    world.parts.sealer.anchor.write(head(99))
    assert "the checkpoint is ahead of the chain" in run(world, "verify").stdout
    assert run(world, "anchor").exit_code == 0
    assert run(world, "verify").exit_code == 0
    assert [event.action for event in world.events(action="renew-anchor")] == ["renew-anchor"]


def test_an_export_is_a_line_for_each_event_whatever_stands_in_it(world: World) -> None:
    hostile = 'a\nb\r\u2028"\x00{}</script>'
    with transaction():
        event_log.record(world.actor(), "view", AuditTarget(1, name=hostile.replace("\x00", "")))
        event_log.record(world.actor(), "view", AuditTarget(2, name="Other.pdf"))
    chain.seal(world.parts.sealer)
    lines = run(world, "export").stdout.split("\n")
    assert [json.loads(line)["position"] for line in lines[:-1]] == [1, 2]
    [only] = run(world, "export", "--patient", "1").stdout.splitlines()[:1]
    assert json.loads(only)["private"]["name"] == hostile.replace("\x00", "")


def test_an_export_can_be_checked_with_the_key_alone(world: World) -> None:
    sealed(world)
    before, key = chain.GENESIS, chain.derive_key(config.secret_key(world.app.config))
    for line in run(world, "export").stdout.splitlines():
        event = json.loads(line)
        mac, covered = event["mac"], {name: event[name] for name in chain.FORMATS[event["format"]]}
        content = json.dumps(covered, sort_keys=True, separators=(",", ":"))
        before = hmac.digest(key, f"{before}\n{content}".encode(), "sha256").hex()
        assert before == mac


def test_an_export_of_some_days_leaves_the_others_out(world: World) -> None:
    write(world, 2)
    day = now().date()
    assert len(run(world, "export", "--since", day.isoformat()).stdout.splitlines()) == 2
    assert run(world, "export", "--until", day.isoformat()).stdout == ""


def test_a_command_leaves_its_events_sealed(world: World) -> None:
    command = ["medfiles", "user", "create", "new@sample.example", "--password-stdin"]
    assert world.app.test_cli_runner().invoke(args=command, input="a long password\n").exit_code == 0
    assert chain.status().waiting == 0
    assert chain.status().sealed == len(world.events())


@pytest.mark.only_sqlite
def test_a_server_that_is_stopped_leaves_its_events_sealed(tmp_path: Path) -> None:
    settings = {"MEDFILES_INSTANCE": str(tmp_path / "instance"), "MEDFILES_JOBS": "worker", "MEDFILES_WORKERS": "1"}
    flask(settings, "db", "upgrade")
    flask(settings, "medfiles", "user", "create", "new@sample.example", "--password-stdin", typed="a long password\n")
    create = ["medfiles", "token", "create", "new@sample.example", "--name", "Script", "--scope", "write"]
    token = flask(settings, *create).split()[-1]
    with serve(settings) as address:
        body = json.dumps({"first_name": "Ella", "last_name": "Sample", "birth_date": "2018-03-02"}).encode()
        headers = {"Authorization": f"Bearer {token}", "Content-Type": "application/json"}
        urllib.request.urlopen(urllib.request.Request(f"{address}/api/v1/patients", body, headers), timeout=30).close()
    checked = json.loads(flask(settings, "medfiles", "audit", "verify", "--json"))
    assert (checked["sealed"], checked["waiting"]) == (3, 0)
