"""A clock that jumped is reported, with both times, until it has run steadily for a day."""

import json
import logging
from datetime import timedelta
from typing import Any

import lxml.html
import pytest
from prometheus_client.parser import text_string_to_metric_families

from medfiles.accounts import service as accounts
from medfiles.audit.checkpoint import Head
from medfiles.clock import now
from medfiles.database.session import db, transaction
from medfiles.errors import StorageError
from medfiles.jobs import last_runs
from medfiles.jobs import queue as jobs
from medfiles.models import LastRun
from medfiles.operations import clock_jumps
from medfiles.operations.clock_jumps import Jump
from tests.support.clocks import RIGHT, YEAR, SetClock, flask
from tests.support.factories import World

pytestmark = pytest.mark.database

DAY, HOUR, MINUTE = timedelta(days=1), timedelta(hours=1), timedelta(minutes=1)
ADMIN = "admin@example.org"


def check(world: World) -> Jump | None:
    return clock_jumps.check(world.parts.sealer.anchor)


def size(jump: Jump | None) -> int | None:
    """The days by which the clock jumped."""
    return round((jump.clock - jump.stored) / DAY) if jump else None


@pytest.mark.parametrize("ahead", [RIGHT, 23 * HOUR, -23 * HOUR])
def test_a_clock_off_by_less_than_a_day_did_not_jump(world: World, set_clock: SetClock, ahead: timedelta) -> None:
    world.record()
    check(world)
    set_clock(ahead)
    assert check(world) is None
    assert clock_jumps.status() is None


@pytest.mark.parametrize("ahead", [25 * HOUR, -25 * HOUR, YEAR, -YEAR])
def test_a_jump_between_two_checks_is_noticed(world: World, set_clock: SetClock, ahead: timedelta) -> None:
    check(world)
    set_clock(ahead)
    assert size(check(world)) == round(ahead / DAY)
    assert size(clock_jumps.status()) == round(ahead / DAY)


@pytest.mark.parametrize("ahead", [YEAR, -YEAR])
def test_a_jump_before_the_first_check_is_noticed_by_the_last_event(
    world: World, set_clock: SetClock, ahead: timedelta
) -> None:
    world.record()
    set_clock(ahead)
    assert size(check(world)) == round(ahead / DAY)


def test_a_jump_is_noticed_by_the_last_run_of_other_work(world: World, set_clock: SetClock) -> None:
    last_runs.record("backup")
    set_clock(-YEAR)
    assert size(check(world)) == -365


def test_a_jump_is_noticed_by_the_checkpoint_of_the_audit_log(
    world: World, set_clock: SetClock, monkeypatch: pytest.MonkeyPatch
) -> None:
    world.record()
    check(world)
    head = Head(1, "0" * 64, (now() + YEAR).isoformat())
    monkeypatch.setattr(type(world.parts.sealer.anchor), "read", lambda anchor: head)
    assert size(check(world)) == -365


def test_a_checkpoint_that_cannot_be_read_is_left_out(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(anchor: Any) -> None:
        raise StorageError

    monkeypatch.setattr(type(world.parts.sealer.anchor), "read", fail)
    assert check(world) is None


def test_a_new_installation_and_an_idle_one_report_nothing(world: World, set_clock: SetClock) -> None:
    assert check(world) is None
    world.record()
    for hour in range(0, 72, 12):
        set_clock(hour * HOUR)
        assert check(world) is None


def test_a_jump_is_reported_for_a_day_of_steady_running(world: World, set_clock: SetClock) -> None:
    check(world)
    set_clock(YEAR)
    world.record()  # its event keeps this time
    assert size(check(world)) == 365
    set_clock(RIGHT)
    reported = []
    for hour in range(26):
        set_clock(hour * HOUR)
        reported.append(size(check(world)))
    assert reported == [-365] * 24 + [None] * 2


def test_time_in_which_nothing_ran_does_not_count_as_steady(world: World, set_clock: SetClock) -> None:
    check(world)
    set_clock(YEAR)
    check(world)
    for hours in (20, 40, 60):
        set_clock(YEAR + hours * HOUR)
        assert size(check(world)) == 365


def test_last_runs_of_a_clock_ahead_are_corrected(world: World, set_clock: SetClock) -> None:
    set_clock(YEAR)
    assert last_runs.claim("backup", DAY)
    last_runs.record("backup", documents=3)
    set_clock(RIGHT)
    check(world)
    db.session.rollback()
    run = db.session.get_one(LastRun, "backup", populate_existing=True)
    assert run.ended_at
    assert (run.begun_at, run.facts) == (None, {"documents": 3})
    assert now() - MINUTE < run.ended_at <= now()


# --- where it is reported -------------------------------------------------------------------------------------------


@pytest.fixture
def jumped(world: World, set_clock: SetClock) -> World:
    world.user(ADMIN)
    accounts.set_admin(ADMIN, True)
    set_clock(YEAR)
    check(world)
    set_clock(RIGHT)
    check(world)
    return world


def metrics(world: World) -> dict[str, float]:
    text = world.app.test_client().get("/metrics", environ_base={"REMOTE_ADDR": "127.0.0.1"}).text
    return {
        "".join((sample.name, *sample.labels.values())): sample.value
        for family in text_string_to_metric_families(text)
        for sample in family.samples
        if "clock" in sample.name
    }


def test_the_log_names_both_times(world: World, set_clock: SetClock, caplog: pytest.LogCaptureFixture) -> None:
    check(world)
    set_clock(YEAR)
    with caplog.at_level(logging.WARNING):
        check(world)
    assert "clock jumped" in caplog.text
    jump = clock_jumps.status()
    assert jump
    assert all(time in caplog.text for time in jump.facts.values())


def test_the_status_page_names_both_times(jumped: World) -> None:
    page = lxml.html.fromstring(jumped.client(ADMIN).get("/status").text)
    [figure] = [one for one in page.xpath("//dl/div") if "clock jumped" in one.text_content()]
    years = [time.get("datetime")[:4] for time in figure.xpath(".//time")]
    assert years == [str((now() + YEAR).year), str(now().year)]


def test_metrics_have_both_times_while_it_is_reported(jumped: World) -> None:
    found = metrics(jumped)
    assert found["medfiles_clock_jumped"] == 1
    assert found["medfiles_clock_jump_secondsstored"] - found["medfiles_clock_jump_secondsclock"] > 364 * 86_400


def test_a_steady_clock_is_reported_as_such(world: World) -> None:
    check(world)
    assert metrics(world) == {"medfiles_clock_jumped": 0}
    result = world.app.test_cli_runner().invoke(args=["medfiles", "status"])
    assert result.exit_code == 0
    assert "clock      steady" in result.output


def test_the_status_command_names_both_times(jumped: World) -> None:
    result = jumped.app.test_cli_runner().invoke(args=["medfiles", "status"])
    assert result.exit_code == 1
    assert f"clock jumped from {now() + YEAR:%Y-%m-%d}" in result.output
    facts = json.loads(jumped.app.test_cli_runner().invoke(args=["medfiles", "status", "--json"]).output)
    assert facts["clock_jump"] == clock_jumps.status().facts  # type: ignore[union-attr]


def test_a_status_page_whose_clock_is_behind_the_last_check_reports_it_at_once(
    world: World, set_clock: SetClock
) -> None:
    check(world)
    set_clock(-YEAR)
    assert size(clock_jumps.status()) == -365


def test_a_worker_process_a_year_ahead_says_so(world: World) -> None:
    check(world)
    with transaction():
        jobs.make_due(clock_jumps.RUN, clock_jumps.EVERY)
    environ = {name: str(world.app.config[name]) for name in ("MEDFILES_INSTANCE", "MEDFILES_DATABASE_URL")}
    ran = flask(environ, YEAR, "medfiles", "worker", "--once")
    assert "clock jumped" in ran.stderr
    assert size(clock_jumps.status()) in (365, -365)
