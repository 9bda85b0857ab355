"""The public address: other host names are refused, except for probes, and nothing else makes absolute URLs."""

import re
from collections.abc import Callable
from pathlib import Path

import pytest

from medfiles.config import SettingError, load
from tests.support.factories import World

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


def test_no_address_is_made_from_the_request() -> None:
    places = [*(ROOT / "medfiles").rglob("*.py"), *(ROOT / "templates").rglob("*.html")]
    from_request = re.compile(r"_external|url_root|host_url|request\.(base_)?url\b")
    assert len(places) > 100
    assert [place.name for place in places if from_request.search(place.read_text())] == []
