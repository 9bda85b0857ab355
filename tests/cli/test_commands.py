"""The command line: what it prints, what it changes, and how it exits."""

import json
import re
from collections.abc import Callable
from datetime import datetime, timedelta
from importlib.metadata import version
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


def test_an_account_is_created_with_a_password_typed_twice_or_from_standard_input(world: World) -> None:
    create = ("user", "create")
    result = run(world, *create, "eve@sample.example", typed=f"{PASSWORD}\n{PASSWORD}\n")
    assert (result.exit_code, PASSWORD in result.output) == (0, False)
    result = run(world, *create, "ada@sample.example", "--password-stdin", typed=f"{PASSWORD}\n")
    assert (result.exit_code, result.output) == (0, "Created account ada@sample.example.\n")
    result = run(world, *create, "max@sample.example", "--password-stdin", "--json", typed=PASSWORD)
    assert json.loads(result.stdout) == {"id": accounts.find("max@sample.example").id, "email": "max@sample.example"}
    assert all(accounts.has_password(f"{name}@sample.example", PASSWORD) for name in ("eve", "ada", "max"))


def test_an_account_that_is_not_possible_is_not_created(world: World) -> None:
    world.user()
    mistakes = (("nora@sample.example", PASSWORD, "already has an account"), ("ada@sample.example", "short", "10"))
    for email, password, said in mistakes:
        result = run(world, "user", "create", email, "--password-stdin", typed=password)
        assert (result.exit_code, said in result.stderr, "Traceback" in result.output) == (FINDINGS, True, False)
    assert db.session.scalar(db.select(db.func.count()).select_from(db.metadata.tables["users"])) == 1


def test_a_command_that_is_not_understood_exits_with_two(world: World) -> None:
    for words in ("user create", "user create a@sample.example --made-up", "trash purge --older-than -3d", "nothing"):
        assert run(world, *words.split()).exit_code == MISUSE


def test_a_command_about_an_unknown_account_is_refused(world: World) -> None:
    for words in ("password nobody@sample.example --password-stdin", "disable nobody@sample.example"):
        result = run(world, "user", *words.split(), typed=PASSWORD)
        assert result.exit_code == FINDINGS
        assert "There is no account for nobody@sample.example." in result.stderr


def test_accounts_are_listed_with_what_they_can_do(world: World) -> None:
    for email in ("nora@sample.example", "otto@sample.example"):
        world.user(email)
    accounts.set_admin("nora@sample.example", True)
    accounts.disable("otto@sample.example")
    listed = json.loads(run(world, "user", "list", "--json").stdout)["accounts"]
    assert [(one["email"], one["active"], one["admin"], one["two_step"]) for one in listed] == [
        ("nora@sample.example", True, True, False),
        ("otto@sample.example", False, False, False),
    ]
    assert "otto@sample.example  disabled" in run(world, "user", "list").stdout


def test_with_json_errors_and_times_are_for_programs(world: World) -> None:
    result = run(world, "user", "disable", "nobody@sample.example", "--json")
    said = json.loads(result.stdout)["error"]
    assert (result.exit_code, said["code"], "nobody@sample.example" in said["message"]) == (FINDINGS, "not-found", True)
    world.user()
    run(world, "token", "create", "nora@sample.example", "--name", "Scanner")
    [token] = json.loads(run(world, "token", "list", "nora@sample.example", "--json").stdout)["tokens"]
    assert datetime.fromisoformat(token["expires_at"]).tzinfo


def test_the_version_is_printed(world: World) -> None:
    assert run(world, "--version").stdout == f"medfiles {version('medfiles')}\n"


def test_a_new_password_and_disabling_an_account_end_its_sessions(world: World) -> None:
    client = world.client()
    result = run(world, "user", "password", "nora@sample.example", "--password-stdin", typed=PASSWORD)
    assert result.exit_code == 0
    assert client.get("/").location.startswith("/sign-in")
    client = world.client()
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
    assert all(str(each.id) in result.output for each in (file, later))
    assert result.output.endswith("2 documents in the trash.\n")
    assert "letter" not in result.output
    result = run(world, "trash", "list", "--older-than", "5d", "--json")
    [row] = json.loads(result.stdout)["documents"]
    assert (row["id"], row["type"]) == (file.id, "visit")


def test_what_is_due_is_purged_after_thirty_days_or_the_period_given(world: World) -> None:
    record = world.record()
    due, kept, live = trashed(world, record, 31), trashed(world, record, 29), world.attach(record)
    result = run(world, "trash", "purge", "--json")
    assert (result.exit_code, json.loads(result.stdout)) == (
        0,
        {"documents": 1, "records": 0, "patients": 0, "failed": 0},
    )
    assert {file.id for file in world.files()} == {kept.id, live.id}
    assert [event.action for event in world.events(file_id=due.id)][-1] == "purge"
    for period, left in (("720h", 2), ("0m", 1)):
        assert run(world, "trash", "purge", "--older-than", period).exit_code == 0
        assert len(world.files()) == left
    world.assert_settled()


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
    assert db.session.scalar(db.select(db.func.count(Patient.id))) == 5
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
    accounts.set_password("anna@sample.example", "a password of her own")
    assert "password" not in run(world, "demo", "--once").stdout


def form_token(page: str) -> str:
    return page.split('name="csrf_token" type="hidden" value="')[1].split('"')[0]
