"""The text of a SMART Health Link, and for how long it works."""

import re
from datetime import timedelta

import pytest

from medfiles.clock import now
from medfiles.errors import Conflict, OutOfScope, Rejected
from medfiles.models import EntityFile
from medfiles.smart_links import crypto, rules
from tests.smart_links.doubles import row_of
from tests.smart_links.doubles import told as told
from tests.support.factories import Smart, World

pytestmark = pytest.mark.database
ADDRESS = "http://localhost/shl/"


@pytest.fixture
def file(world: World) -> EntityFile:
    return world.attach(world.record())


def test_text_has_what_the_specification_asks_for(world: World, file: EntityFile) -> None:
    smart = world.smart(world.link(file, allow_download=True, label="Dr. Placeholder").link)
    assert re.fullmatch(r"shlink:/[A-Za-z0-9_-]+", smart.text)
    assert list(smart.payload) == ["url", "key", "exp", "flag", "label", "v"]
    assert re.fullmatch(r"http://localhost/shl/[A-Za-z0-9_-]{43}", smart.payload["url"])
    assert len(smart.payload["url"]) <= 128
    assert re.fullmatch(r"[A-Za-z0-9_-]{43}", smart.payload["key"])
    assert len(smart.key) == 32
    assert (smart.payload["flag"], smart.payload["v"]) == ("U", 1)


def test_label_holds_no_name(world: World, file: EntityFile) -> None:
    made = world.link(file, allow_download=True, label="Dr. Placeholder", sender="Nora").link
    label = world.smart(made).payload["label"]
    assert (label, len(label) <= 80) == ("Documents", True)


@pytest.mark.parametrize(
    ("kind", "passcode", "flag"),
    [
        ("desk", None, "U"),
        ("desk", "482107", "U"),
        ("paper", "482107", "U"),
        ("app", None, None),
        ("app", "482107", "P"),
        ("up-to-date", None, "L"),
        ("up-to-date", "482107", "LP"),
    ],
)
def test_flags_are_in_order_and_a_direct_file_has_no_passcode(
    world: World, file: EntityFile, kind: str, passcode: str | None, flag: str | None
) -> None:
    link = world.link(file, allow_download=True, passcode=passcode).link
    assert world.smart(link, kind).payload.get("flag") == flag


@pytest.mark.parametrize(
    ("kind", "lasts"),
    [
        ("desk", timedelta(minutes=15)),
        ("paper", timedelta(hours=48)),
        ("app", timedelta(days=7)),
        ("up-to-date", timedelta(days=7)),
    ],
)
def test_expires_in_time(world: World, file: EntityFile, kind: str, lasts: timedelta) -> None:
    smart = world.smart(world.link(file, allow_download=True).link, kind)
    expires_at = row_of(smart).expires_at
    assert abs(expires_at - now() - lasts) < timedelta(minutes=1)
    assert smart.payload["exp"] == int(expires_at.timestamp())


def test_never_outlives_the_share_link(world: World, file: EntityFile) -> None:
    link = world.link(file, allow_download=True, expires_at=now() + timedelta(minutes=5)).link
    for kind in rules.KINDS:
        assert row_of(world.smart(link, kind)).expires_at == link.expires_at


def test_keys_with_a_dash_and_an_underscore_are_written_as_they_are(
    world: World, file: EntityFile, monkeypatch: pytest.MonkeyPatch
) -> None:
    key = bytes.fromhex("fbefbe" * 10 + "ffff")
    monkeypatch.setattr("medfiles.smart_links.service.new_key", lambda: key)
    smart = world.smart(world.link(file, allow_download=True).link)
    assert smart.key == key
    assert {"-", "_"} <= set(smart.payload["key"])


def test_address_that_is_too_long_is_refused() -> None:
    with pytest.raises(Rejected):
        rules.payload("https://" + "x" * 121, crypto.new_key(), "U", now())


def test_view_only_paused_revoked_and_empty_links_have_none(world: World, file: EntityFile) -> None:
    view_only, paused, revoked = (world.link(file, allow_download=download).link for download in (False, True, True))
    empty = world.link(gone := world.attach(world.record()), allow_download=True).link
    world.links().pause(paused.id)
    world.links().revoke(revoked.id)
    world.documents().trash(gone.id)
    for link in (view_only, paused, revoked, empty):
        with pytest.raises(Conflict):
            world.smart_links().create_smart(link.id, "desk", ADDRESS)


def test_a_share_link_has_at_most_twenty(world: World, file: EntityFile, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(rules, "MOST_LINKS", 2)
    link = world.link(file, allow_download=True).link
    first, _ = (world.smart(link) for _ in range(2))
    with pytest.raises(Rejected):
        world.smart(link)
    world.smart_links().end_smart(link.id, first.id)
    assert isinstance(world.smart(link), Smart)


def test_token_that_may_not_share_creates_none(world: World, file: EntityFile) -> None:
    link = world.link(file, allow_download=True).link
    service = world.smart_links()
    service.actor = type(service.actor)(**{**vars(service.actor), "may_share": False})
    with pytest.raises(OutOfScope):
        service.create_smart(link.id, "desk", ADDRESS)
