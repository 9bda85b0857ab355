"""The check by which a reverse proxy learns whether it may receive an upload."""

from collections.abc import Callable

import pytest

from medfiles.accounts import api_tokens
from medfiles.http.upload_check import HEADER
from tests.support.api_client import RAW, script
from tests.support.factories import World, token_of

MB = 1024 * 1024


def check(world: World, path: str, length: object, headers: dict[str, str]) -> int:
    """Send the head of an upload, without a body; return the status."""
    sent = {"Content-Type": RAW, "Content-Disposition": "attachment; filename=letter.pdf", HEADER: str(length)}
    return world.app.test_client().post(path, headers={**sent, **headers}).status_code


def test_an_upload_with_a_token_is_allowed_and_nothing_is_recorded(world: World) -> None:
    visit, by = world.record(), script(world)
    before = len(world.events())
    assert check(world, f"/api/v1/visit/{visit.id}/files", MB, by.headers) == 204
    assert len(world.events()) == before
    assert world.files() == []


def test_an_upload_with_a_session_needs_its_csrf_token(world: World) -> None:
    visit, client = world.record(), world.client()
    path, about = f"/documents/visit/{visit.id}/files", {HEADER: "100", "Content-Type": RAW}
    token = token_of(client)
    assert client.post(path, headers={**about, "X-CSRFToken": token}).status_code == 204
    assert client.post(f"{path}?csrf_token={token}", headers=about).status_code == 204
    assert client.post(path, headers={**about, "X-CSRFToken": "stale"}).status_code == 403
    assert client.post(path, headers=about).status_code == 403


@pytest.mark.parametrize("length", [30 * MB, "", "-", "ten"])
def test_a_length_that_is_too_large_or_no_number_is_refused(world: World, length: object) -> None:
    visit, by = world.record(), script(world)
    assert check(world, f"/api/v1/visit/{visit.id}/files", length, by.headers) == 403


def test_refusals_of_any_kind_are_403(world: World) -> None:
    visit = world.record()
    path = f"/api/v1/visit/{visit.id}/files"
    reader = script(world, scope=api_tokens.READ)
    stranger = script(world, "stranger@sample.example")
    assert check(world, path, 100, {}) == 403
    assert check(world, path, 100, {"Authorization": "Bearer wrong"}) == 403
    assert check(world, path, 100, reader.headers) == 403
    assert check(world, path, 100, stranger.headers) == 403
    assert check(world, path.replace("visit", "unknown"), 100, stranger.headers) == 403
    assert check(world, path.replace("/api/v1", "/documents"), 100, {}) == 403


def test_a_check_does_not_count_as_an_upload(make_world: Callable[..., World]) -> None:
    world = make_world(UPLOADS_PER_MINUTE="1")
    visit, by = world.record(), script(world)
    path = f"/visit/{visit.id}/files"
    assert [check(world, f"/api/v1{path}", 100, by.headers) for _ in range(3)] == [204] * 3
    assert by.upload(path, "letter.txt", b"Rest and fluids.\n").status_code == 201
    assert by.upload(path, "letter.txt", b"Rest and sleep.\n").status_code == 429
