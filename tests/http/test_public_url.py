"""The public address: other host names are refused, except for probes, and nothing else makes absolute URLs."""

import re
import subprocess
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace

import pytest

from medfiles.config import SettingError, load
from medfiles.http import gunicorn_config
from tests.support.factories import World
from tests.support.server import environment

PUBLIC = "https://records.example.org"
ROOT = Path(__file__).parents[2]


@pytest.fixture
def public(make_world: Callable[..., World]) -> World:
    return make_world(PUBLIC_URL=f"{PUBLIC}/")


@pytest.mark.parametrize("host", ["records.example.org", "records.example.org:443", "RECORDS.example.org:8443"])
def test_the_public_host_is_answered_on_any_port(public: World, host: str) -> None:
    assert public.client(None).get("/sign-in", headers={"Host": host}).status_code == 200


@pytest.mark.parametrize("path", ["/sign-in", "/", "/api/v1/patients", "/no-such-page", "/static/medfiles.css"])
@pytest.mark.parametrize("host", ["127.0.0.1:8000", "evil.example", "records.example.org.evil.example", "[::1]:8000"])
def test_other_hosts_get_400_and_the_public_address(public: World, path: str, host: str) -> None:
    answer = public.client(None).get(path, headers={"Host": host})
    assert (answer.status_code, PUBLIC in answer.get_data(as_text=True)) == (400, True)


@pytest.mark.parametrize("path", ["/healthz", "/readyz", "/metrics"])
def test_probes_reach_health_checks_and_metrics_by_address(public: World, path: str) -> None:
    assert public.client(None).get(path, headers={"Host": "127.0.0.1:8000"}).status_code == 200


def test_every_host_is_answered_without_the_setting(world: World) -> None:
    assert world.client(None).get("/sign-in", headers={"Host": "anything.example"}).status_code == 200


def test_forwarded_hosts_count_behind_a_trusted_proxy(make_world: Callable[..., World]) -> None:
    client = make_world(PUBLIC_URL=PUBLIC, PROXIES="1").client(None)
    for host, status in (("records.example.org", 200), ("evil.example", 400)):
        headers = {"Host": "app:8000", "X-Forwarded-Host": host}
        assert client.get("/sign-in", headers=headers).status_code == status


@pytest.mark.parametrize(
    "text", ["records.example.org", "ftp://a.example", f"{PUBLIC}/path", "https://", f"{PUBLIC}?a=b"]
)
def test_an_address_with_more_or_less_than_scheme_and_host_is_refused(text: str) -> None:
    with pytest.raises(SettingError, match="MEDFILES_PUBLIC_URL"):
        load({"MEDFILES_PUBLIC_URL": text})


@pytest.mark.parametrize(
    ("settings", "address"),
    [
        ({}, "http://localhost:8000"),
        ({"MEDFILES_PORT": "9001"}, "http://localhost:9001"),
        ({"MEDFILES_PUBLIC_URL": PUBLIC}, PUBLIC),
        ({"MEDFILES_HOST": "0.0.0.0"}, ""),
    ],
)
def test_make_run_sets_the_public_address_to_this_computer(
    tmp_path: Path, settings: dict[str, str], address: str
) -> None:
    server = tmp_path / "gunicorn"
    server.write_text('#!/bin/sh\nprintf %s "$MEDFILES_PUBLIC_URL"\n')
    server.chmod(0o700)
    command = ["make", "-s", "-o", "setup", "run", f"BIN={tmp_path}", "FLASK=true", "TIED="]
    done = subprocess.run(command, cwd=ROOT, env=environment(settings), capture_output=True, text=True, check=True)
    assert done.stdout == address


def test_the_server_prints_the_public_address(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setitem(gunicorn_config.settings, "MEDFILES_PUBLIC_URL", PUBLIC)
    gunicorn_config.when_ready(SimpleNamespace(LISTENERS=["http://127.0.0.1:8000"]))
    assert capsys.readouterr().out.split() == ["medfiles", PUBLIC]


def test_no_address_is_made_from_the_request() -> None:
    places = [*(ROOT / "medfiles").rglob("*.py"), *(ROOT / "templates").rglob("*.html")]
    from_request = re.compile(r"_external|url_root|host_url|request\.(base_)?url\b")
    assert len(places) > 100
    assert [place.name for place in places if from_request.search(place.read_text())] == []
