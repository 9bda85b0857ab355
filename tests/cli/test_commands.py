"""The command line: what it prints, what it changes, and how it exits."""

import json
import re
from collections.abc import Callable
from datetime import timedelta
from typing import Any

import pytest
from click.testing import Result

from medfiles.accounts import service as accounts
from medfiles.clock import now
from medfiles.database.session import db
from medfiles.errors import StorageError
from medfiles.jobs import rounds
from medfiles.models import EntityFile, Patient, StorageJournal
from tests.support.factories import World

PASSWORD = "a long enough password"
MISUSE, FINDINGS = 2, 1


def run(world: World, *words: str, typed: str | None = None) -> Result:
    """`flask medfiles …`; what it may have left in this context's session is read anew."""
    result = world.app.test_cli_runner().invoke(args=["medfiles", *words], input=typed)
    db.session.rollback()
    db.session.expire_all()
    return result


def aged(world: World, file: EntityFile, days: int, rounds_since: int | None = None) -> None:
    """Let a document have been in the trash for so many days, with one round of housekeeping on each."""
    row = db.session.get_one(EntityFile, file.id)
    row.deleted_at = now() - timedelta(days=days)
    row.uploaded_at = row.deleted_at - timedelta(hours=1)
    row.deleted_round = rounds.current() - (days if rounds_since is None else rounds_since)
    db.session.commit()


def trashed(world: World, record: Any, days: int) -> EntityFile:
    file = world.attach(record)
    world.documents().trash(file.id)
    aged(world, file, days)
    return file


# --- accounts -----------------------------------------------------------------------------------------------------


def test_an_account_is_made_with_a_password_from_standard_input(world: World) -> None:
    result = run(world, "user", "create", "ada@sample.example", "--password-stdin", typed=f"{PASSWORD}\n")
    assert (result.exit_code, result.output) == (0, "Created account ada@sample.example.\n")
    assert accounts.has_password("ada@sample.example", PASSWORD)


def test_an_account_is_made_with_a_password_typed_twice(world: World) -> None:
    result = run(world, "user", "create", "ada@sample.example", typed=f"{PASSWORD}\n{PASSWORD}\n")
    assert result.exit_code == 0
    assert PASSWORD not in result.output
    assert accounts.has_password("ada@sample.example", PASSWORD)


def test_what_was_made_is_printed_for_programs(world: World) -> None:
    words = ("user", "create", "ada@sample.example", "--password-stdin", "--json")
    result = run(world, *words, typed=PASSWORD)
    user = accounts.find("ada@sample.example")
    assert json.loads(result.stdout) == {"id": user.id, "email": "ada@sample.example"}


@pytest.mark.parametrize(
    ("email", "password", "said"),
    [
        ("nora@sample.example", PASSWORD, "already has an account"),
        ("ada@sample.example", "short", "10"),
        ("ada", PASSWORD, "not an e-mail address"),
    ],
)
def test_an_account_that_cannot_be_is_not_made(world: World, email: str, password: str, said: str) -> None:
    world.user()
    result = run(world, "user", "create", email, "--password-stdin", typed=password)
    assert result.exit_code == FINDINGS
    assert said in result.stderr
    assert "Traceback" not in result.output
    assert db.session.scalar(db.select(db.func.count()).select_from(db.metadata.tables["users"])) == 1


@pytest.mark.parametrize(
    "words",
    [
        ("user", "create"),
        ("user", "disable"),
        ("user", "create", "a@sample.example", "--made-up"),
        ("trash", "purge", "--older-than", "soon"),
        ("trash", "purge", "--older-than", "-3d"),
        ("trash", "nothing"),
        ("nothing",),
    ],
)
def test_a_command_that_is_not_understood_exits_with_two(world: World, words: tuple[str, ...]) -> None:
    assert run(world, *words).exit_code == MISUSE


@pytest.mark.parametrize("verb", ["password", "disable", "admin"])
def test_nothing_is_done_to_an_account_that_is_not_there(world: World, verb: str) -> None:
    more = ("--password-stdin",) if verb == "password" else ()
    result = run(world, "user", verb, "nobody@sample.example", *more, typed=PASSWORD)
    assert result.exit_code == FINDINGS
    assert "There is no account nobody@sample.example." in result.stderr


def test_a_new_password_ends_every_session(world: World) -> None:
    client = world.client()
    result = run(world, "user", "password", "nora@sample.example", "--password-stdin", typed=PASSWORD)
    assert result.exit_code == 0
    assert client.get("/").location.startswith("/sign-in")
    assert accounts.has_password("nora@sample.example", PASSWORD)


def test_a_disabled_account_is_out_at_once_and_may_be_let_in_again(world: World) -> None:
    client = world.client()
    accounts.set_password("nora@sample.example", PASSWORD)
    assert run(world, "user", "disable", "nora@sample.example").exit_code == 0
    assert client.get("/").location.startswith("/sign-in")
    assert not accounts.has_password("nora@sample.example", PASSWORD)
    assert run(world, "user", "disable", "nora@sample.example", "--undo").exit_code == 0
    assert accounts.has_password("nora@sample.example", PASSWORD)


def test_an_account_becomes_admin_and_is_one_no_longer(world: World) -> None:
    world.user()
    made = run(world, "user", "admin", "nora@sample.example", "--json")
    assert json.loads(made.stdout) == {"email": "nora@sample.example", "admin": True}
    assert accounts.find("nora@sample.example").has_role("admin")
    assert run(world, "user", "admin", "nora@sample.example", "--undo").exit_code == 0
    assert not accounts.find("nora@sample.example").has_role("admin")


# --- the store ----------------------------------------------------------------------------------------------------


def test_the_trash_is_listed_without_names(world: World) -> None:
    record = world.record()
    file, later = trashed(world, record, 10), trashed(world, record, 3)
    result = run(world, "trash", "list")
    assert result.exit_code == 0
    assert str(file.id) in result.output
    assert str(later.id) in result.output
    assert result.output.endswith("2 documents in the trash.\n")
    assert "letter" not in result.output


def test_the_trash_is_listed_for_programs(world: World) -> None:
    record = world.record()
    file = trashed(world, record, 10)
    trashed(world, record, 3)
    result = run(world, "trash", "list", "--older-than", "5d", "--json")
    [row] = json.loads(result.stdout)["documents"]
    assert (row["id"], row["type"]) == (file.id, "visit")


def test_only_what_is_due_is_purged(world: World) -> None:
    record = world.record()
    due, waiting, live = trashed(world, record, 31), trashed(world, record, 29), world.attach(record)
    result = run(world, "trash", "purge", "--json")
    assert result.exit_code == 0
    assert json.loads(result.stdout) == {"documents": 1, "records": 0, "failed": 0}
    assert {file.id for file in world.files()} == {waiting.id, live.id}
    world.assert_settled()
    assert [event.action for event in world.events(file_id=due.id)][-1] == "purge"


@pytest.mark.parametrize(("period", "left"), [("30d", 2), ("72h", 1), ("0m", 0)])
def test_the_period_can_be_chosen(world: World, period: str, left: int) -> None:
    record = world.record()
    trashed(world, record, 10)
    trashed(world, record, 1)
    assert run(world, "trash", "purge", "--older-than", period).exit_code == 0
    assert len(world.files()) == left


@pytest.mark.parametrize(
    ("period", "rounds_since", "left"), [("30d", 14, 1), ("30d", 15, 0), ("12h", 1, 1), ("12h", 2, 0)]
)
def test_a_period_purges_only_after_rounds_of_housekeeping(
    world: World, period: str, rounds_since: int, left: int
) -> None:
    aged(world, trashed(world, world.record(), 31), 31, rounds_since)
    result = run(world, "trash", "purge", "--older-than", period)
    assert (result.exit_code, len(world.files())) == (0, left)
    assert ("1 more documents are old enough" in result.stderr) == bool(left)


def test_force_purges_by_the_clock_alone(world: World) -> None:
    record = world.record()
    old, new = trashed(world, record, 31), trashed(world, record, 29)
    aged(world, old, 31, 0)
    assert run(world, "trash", "purge", "--older-than", "30d", "--force").exit_code == 0
    assert [file.id for file in world.files()] == [new.id]


def test_what_could_not_be_removed_is_a_finding(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    file = trashed(world, world.record(), 31)

    def fail(key: str) -> None:
        raise StorageError()

    monkeypatch.setattr(world.parts.storages.default, "delete", fail)
    result = run(world, "trash", "purge", "--json")
    assert result.exit_code == FINDINGS
    assert json.loads(result.stdout)["failed"] == 1
    assert file.id not in {left.id for left in world.files()}
    world.assert_sound()


def test_sweep_removes_what_nobody_claimed_and_nothing_the_second_time(world: World) -> None:
    world.attach(world.record())
    key = "files/visits/11111111-1111-4111-8111-111111111111.pdf"
    staged = world.parts.storages.default.stage(100)
    staged.write(b"left behind")
    world.parts.storages.default.commit(staged, key)
    past = now() - timedelta(minutes=1)
    db.session.add(StorageJournal(key=key, storage="disk", action="attach", lease_until=past))
    db.session.commit()
    results = [json.loads(run(world, "sweep", "--json").stdout) for _ in range(2)]
    assert results == [{"removed": 1, "failed": 0}, {"removed": 0, "failed": 0}]
    world.assert_settled()


def test_sweep_leaves_an_upload_that_is_under_way(world: World) -> None:
    future = now() + timedelta(minutes=5)
    key = "files/visits/22222222-2222-4222-8222-222222222222.pdf"
    db.session.add(StorageJournal(key=key, storage="disk", action="attach", lease_until=future))
    db.session.commit()
    assert json.loads(run(world, "sweep", "--json").stdout) == {"removed": 0, "failed": 0}
    assert db.session.scalar(db.select(StorageJournal.action)) == "attach"


# --- the demo -----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("registration", ["0", "1"])
def test_the_demo_is_made_once_and_its_account_signs_in(make_world: Callable[..., World], registration: str) -> None:
    world = make_world(REGISTRATION=registration)
    first, second = run(world, "demo", "--once"), run(world, "demo", "--once")
    assert (first.exit_code, second.exit_code) == (0, 0)
    assert first.stdout == second.stdout
    assert db.session.scalar(db.select(db.func.count(Patient.id))) == 4
    email, password = re.findall(r"(?:sign in|password) +(\S+)", first.stdout)
    client = world.client(None)
    form = {"email": email, "password": password, "csrf_token": form_token(client.get("/sign-in").text)}
    assert client.post("/sign-in", data=form).status_code == 302
    assert "Recently added" in client.get("/").text
    world.assert_settled()


def test_the_demo_stays_out_of_an_installation_in_use(world: World) -> None:
    world.patient()
    quiet, loud = run(world, "demo", "--once"), run(world, "demo")
    assert (quiet.exit_code, loud.exit_code) == (0, FINDINGS)
    assert "password" not in quiet.stdout
    assert "only be created in an empty one" in loud.stderr
    assert db.session.scalar(db.select(db.func.count(Patient.id))) == 1


def test_the_demos_password_is_printed_as_long_as_it_holds(world: World) -> None:
    run(world, "demo", "--once")
    accounts.set_password("nora@sample.example", "a password of her own")
    assert "password" not in run(world, "demo", "--once").stdout


def form_token(page: str) -> str:
    return page.split('name="csrf_token" type="hidden" value="')[1].split('"')[0]
