"""Share links over the API: created with a token of the scope share, listed, paused, resumed, revoked."""

from collections.abc import Callable
from typing import Any

import pytest

from tests.support.api_client import problem, script
from tests.support.factories import World

PUBLIC = "http://localhost"


@pytest.fixture
def world(make_world: Callable[..., World]) -> World:
    return make_world(PUBLIC_URL=PUBLIC)


def created(world: World, **more: Any) -> dict[str, Any]:
    file = world.attach(world.record())
    sent = {"file_ids": [file.id], **more}
    answer = script(world, scope="share").post(f"/patients/{file.patient_id}/links", json=sent)
    assert answer.status_code == 201, answer.json
    return dict(answer.json or {})


def test_address_is_told_once(world: World) -> None:
    made = created(world, label="Dr. Placeholder", passcode="482107", allow_download=True)
    assert made["url"] == made["qr"]
    assert made["url"].startswith(f"{PUBLIC}/s/")
    assert (made["label"], made["has_passcode"], made["allow_download"]) == ("Dr. Placeholder", True, True)
    read = script(world).get(f"/links/{made['id']}").json or {}
    assert {name: value for name, value in made.items() if name not in ("url", "qr", "smart_health_link")} == read


def test_a_token_that_may_write_but_not_share_is_refused(world: World) -> None:
    file = world.attach(world.record())
    path = f"/patients/{file.patient_id}/links"
    problem(script(world, scope="write").post(path, json={"file_ids": [file.id]}), 403, "scope")


@pytest.mark.parametrize(
    ("field", "value"),
    [("passcode", "12345"), ("expires_at", "2200-01-01T00:00:00Z"), ("file_ids", [1_999_999_999])],
)
def test_what_is_wrong_is_named(world: World, field: str, value: Any) -> None:
    file = world.attach(world.record())
    path, sent = f"/patients/{file.patient_id}/links", {"file_ids": [file.id], field: value}
    found = problem(script(world, scope="share").post(path, json=sent), 422, "rejected")
    assert [error["field"] for error in found["errors"]] == [field]


def test_paused_resumed_and_revoked(world: World) -> None:
    client, link = script(world, scope="share"), f"/links/{created(world)['id']}"
    states = [(client.post(f"{link}/pause").json or {})["state"], (client.post(f"{link}/resume").json or {})["state"]]
    assert [*states, (client.delete(link).json or {})["state"]] == ["paused", "active", "revoked"]
    problem(client.post(f"{link}/resume"), 409, "conflict")


def test_openings_name_the_documents_viewed(world: World) -> None:
    made = created(world)
    reader, token = world.reader(), made["url"].rpartition("/")[2]
    shared, key = reader.open(token, None, "Front desk", "Firefox")
    reader.describe(shared, key, made["file_ids"][0])
    [opening] = script(world).get(f"/links/{made['id']}/opens").json or []
    assert (opening["reader"], opening["file_ids"], opening["downloaded"]) == ("Front desk", made["file_ids"], [])


def test_without_a_public_address_the_answer_says_why(make_world: Callable[..., World]) -> None:
    world = make_world()
    file = world.attach(world.record())
    sent = {"file_ids": [file.id]}
    answer = script(world, scope="share").post(f"/patients/{file.patient_id}/links", json=sent)
    assert "MEDFILES_PUBLIC_URL" in problem(answer, 409, "conflict")["detail"]
