"""A sandbox that lacks a layer is named wherever an operator looks, and stops the start where all are required."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from structlog.testing import capture_logs

from medfiles import config, services
from medfiles.config import SettingError
from medfiles.http import gunicorn_config
from medfiles.operations.confinement import check_sandbox
from medfiles.record_types.declared import RECORD_TYPES
from medfiles.sandbox.pool import Sandbox
from tests.operations.test_status import ADMIN, LOCAL, admin, figures
from tests.support.factories import World

REASON = "Landlock is not available"
ALL = dict.fromkeys(("resource-limits", "no-new-privileges", "landlock", "seccomp"), "")
INCOMPLETE = ALL | {"landlock": REASON}


@pytest.fixture
def incomplete(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(Sandbox, "layers", lambda self: INCOMPLETE)


def run(world: World, *words: str) -> Any:
    return world.app.test_cli_runner().invoke(args=["medfiles", *words])


def test_a_complete_sandbox_is_accepted_silently() -> None:
    with capture_logs() as lines:
        check_sandbox(Sandbox(), required=True)
    assert lines == []


@pytest.mark.usefixtures("incomplete")
def test_a_missing_layer_is_logged_at_the_start() -> None:
    with capture_logs() as lines:
        check_sandbox(Sandbox(), required=False)
    said = {"event": "sandbox layer missing", "log_level": "warning"}
    assert lines == [said | {"layer": "landlock", "reason": REASON}]


@pytest.mark.usefixtures("incomplete")
def test_where_all_layers_are_required_a_missing_one_stops_the_start(monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(SettingError, match="landlock"):
        check_sandbox(Sandbox(), required=True)
    monkeypatch.setitem(gunicorn_config.settings, "MEDFILES_SANDBOX", "require")
    with pytest.raises(SystemExit, match="MEDFILES_SANDBOX=warn"):
        gunicorn_config.on_starting(None)


@pytest.mark.usefixtures("incomplete")
def test_the_worker_command_obeys_the_setting(make_world: Callable[..., World]) -> None:
    assert run(make_world(), "worker", "--once").exit_code == 0
    refused = run(make_world(SANDBOX="require"), "worker", "--once")
    assert (refused.exit_code, "is incomplete: landlock" in refused.output) == (1, True)


@pytest.mark.parametrize(("value", "required"), [("warn", False), ("require", True)])
def test_the_setting_reaches_the_workers(value: str, required: bool, tmp_path: Path) -> None:
    settings = config.load({"MEDFILES_INSTANCE": str(tmp_path), "MEDFILES_SANDBOX": value})
    built = services.build(settings, RECORD_TYPES)
    assert {pool.limits.require_confinement for pool in (built.sandbox, built.renderers)} == {required}


@pytest.mark.usefixtures("incomplete")
def test_status_page_command_and_metrics_name_the_missing_layer(world: World) -> None:
    page = admin(world).client(ADMIN).get("/status").text
    assert "Sandbox: landlock" in page
    assert REASON in page
    found = figures(world.app.test_client().get("/metrics", environ_base=LOCAL).text)
    assert {name: found["medfiles_sandbox_layer", name] for name in ALL} == {
        name: float(not reason) for name, reason in INCOMPLETE.items()
    }
    assert f"sandbox    landlock missing ({REASON})" in run(world, "status").output
    assert json.loads(run(world, "status", "--json").output)["sandbox_missing"] == {"landlock": REASON}


def test_the_status_command_counts_what_needs_attention(world: World) -> None:
    world.attach(world.record("visit"), "Letter.pdf")
    lines = dict(line.split(maxsplit=1) for line in run(world, "status").output.splitlines() if "audit" not in line)
    assert lines == {
        "documents": "1",
        "trash": "0",
        "findings": "none",
        "jobs": lines["jobs"],
        "scans": "0 pending",
        "texts": "0 pages, 1 documents pending, recognition: none",
        "backup": "never",
        "clock": "steady",
        "sandbox": "complete",
    }
