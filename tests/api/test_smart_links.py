"""SMART Health Links over the API: created with a token of the scope share, listed, ended."""

from collections.abc import Callable
from typing import Any

import pytest

from medfiles.operations import worker
from medfiles.smart_links import building
from tests.smart_links.doubles import decrypted, pdfs
from tests.smart_links.doubles import told as told
from tests.support.api_client import problem, script
from tests.support.factories import Smart, World

PUBLIC = "http://localhost"


@pytest.fixture
def world(make_world: Callable[..., World]) -> World:
    return make_world(PUBLIC_URL=PUBLIC)


def shared(world: World, **more: Any) -> int:
    return world.link(world.attach(world.record(), "Letter.pdf"), **{"allow_download": True, **more}).link.id


def test_link_is_told_once(world: World) -> None:
    link_id = shared(world)
    answer = script(world, scope="share").post(f"/links/{link_id}/smart", json={"kind": "paper"})
    made = dict(answer.json or {})
    assert (answer.status_code, made["state"]) == (202, "preparing")
    assert made["qr"] == made["smart_health_link"]
    assert made["smart_health_link"].startswith(f"{PUBLIC}/shl/v#shlink:/")
    world.keep_house()
    [listed] = script(world).get(f"/links/{link_id}/smart").json or []
    assert {name: made[name] for name in listed if name != "state"} == {
        name: value for name, value in listed.items() if name != "state"
    }
    assert (listed["kind"], listed["flags"], listed["state"]) == ("paper", "U", "ready")


def test_answer_is_201_once_the_documents_are_prepared(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(building, "WAIT_SECONDS", 60)
    monkeypatch.setattr(building, "pause", lambda _: worker.run_next(world.app))
    answer = script(world, scope="share").post(f"/links/{shared(world)}/smart", json={})
    made = dict(answer.json or {})
    assert (answer.status_code, made["kind"], made["state"]) == (201, "desk", "ready")
    smart = Smart(made["id"], made["smart_health_link"].partition("#")[2])
    got = world.app.test_client().get(f"{smart.path}?recipient=App", buffered=True)
    assert "Letter" in pdfs(decrypted(got.data, smart.key))


def test_share_link_comes_with_one_on_request(world: World) -> None:
    file = world.attach(world.record())
    sent = {"file_ids": [file.id], "allow_download": True, "smart_health_link": "desk"}
    answer = script(world, scope="share").post(f"/patients/{file.patient_id}/links", json=sent)
    made = dict(answer.json or {})
    assert answer.status_code == 202
    assert made["smart_health_link"].startswith(f"{PUBLIC}/shl/v#shlink:/")
    [listed] = script(world).get(f"/links/{made['id']}/smart").json or []
    assert listed["kind"] == "desk"


def test_share_link_without_one_has_none(world: World) -> None:
    file = world.attach(world.record())
    answer = script(world, scope="share").post(f"/patients/{file.patient_id}/links", json={"file_ids": [file.id]})
    assert (answer.status_code, (answer.json or {})["smart_health_link"]) == (201, None)


def test_share_link_ends_if_its_smart_health_link_cannot_be_created(world: World) -> None:
    file = world.attach(world.record())
    sent = {"file_ids": [file.id], "smart_health_link": "desk"}
    answer = script(world, scope="share").post(f"/patients/{file.patient_id}/links", json=sent)
    assert "only for viewing" in problem(answer, 409, "conflict")["detail"]
    [link] = script(world).get(f"/patients/{file.patient_id}/links").json or []
    assert link["state"] == "revoked"


def test_token_that_may_write_but_not_share_is_refused(world: World) -> None:
    answer = script(world, scope="write").post(f"/links/{shared(world)}/smart", json={})
    problem(answer, 403, "scope")


def test_unknown_kind_is_named(world: World) -> None:
    answer = script(world, scope="share").post(f"/links/{shared(world)}/smart", json={"kind": "fax"})
    assert [error["field"] for error in problem(answer, 422, "rejected")["errors"]] == ["kind"]


def test_ended(world: World) -> None:
    client, link_id = script(world, scope="share"), shared(world)
    made = client.post(f"/links/{link_id}/smart", json={}).json or {}
    assert (client.delete(f"/links/{link_id}/smart/{made['id']}").json or {})["state"] == "ended"
    problem(client.delete(f"/links/{link_id}/smart/999"), 404, "not-found")


def test_one_of_another_link_is_not_found(world: World) -> None:
    client, link_id = script(world, scope="share"), shared(world)
    made = client.post(f"/links/{link_id}/smart", json={}).json or {}
    problem(client.delete(f"/links/{shared(world)}/smart/{made['id']}"), 404, "not-found")


def test_without_a_public_address_the_answer_says_why(make_world: Callable[..., World]) -> None:
    world = make_world()
    answer = script(world, scope="share").post(f"/links/{shared(world)}/smart", json={})
    assert "MEDFILES_PUBLIC_URL" in problem(answer, 409, "conflict")["detail"]
