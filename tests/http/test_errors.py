"""What people see when something goes wrong: the right status, a sentence, and nothing of the inside."""

from collections.abc import Callable, Iterator
from typing import Any

import pytest
from sqlalchemy import event
from sqlalchemy.exc import OperationalError

from medfiles import errors
from medfiles.database.session import db
from medfiles.errors import MedfilesError
from medfiles.http.errors import status_of
from medfiles.sandbox.pool import WorkerUnavailable
from tests.support.factories import World, heard, token_of

HTMX = {"HX-Request": "true"}
SAID = "A sentence for people."
STATUSES = {
    errors.WrongHost: 400,
    errors.SignedOut: 401,
    errors.NotFound: 404,
    errors.Renumbered: 410,
    errors.Forbidden: 403,
    errors.OutOfScope: 403,
    errors.LinkPaused: 403,
    errors.WrongPasscode: 401,
    errors.PasscodeBusy: 429,
    errors.Conflict: 409,
    errors.Outdated: 412,
    errors.TooMany: 409,
    errors.Archived: 409,
    errors.EditConflict: 409,
    errors.OverQuota: 409,
    errors.BeingChecked: 409,
    errors.BeingRead: 409,
    errors.Quarantined: 409,
    errors.Rejected: 422,
    errors.TooLarge: 413,
    errors.TypeNotAllowed: 415,
    errors.ContentMismatch: 415,
    errors.BadName: 422,
    errors.EmptyFile: 422,
    errors.Truncated: 400,
    errors.Infected: 422,
    errors.StorageError: 503,
    errors.BlobMissing: 503,
    errors.KeyTaken: 503,
    errors.BadKey: 503,
    errors.ProofNeeded: 403,
    errors.IntegrityFailed: 503,
    errors.TooManyUploads: 429,
    errors.DatabaseUnavailable: 503,
}
INSIDE = "psycopg SELECT secret_column FROM /srv/instance/uploads/files/visits"


def kinds(root: type[MedfilesError] = MedfilesError) -> Iterator[type[MedfilesError]]:
    for kind in root.__subclasses__():
        yield kind
        yield from kinds(kind)


def failing(error: Exception) -> Callable[..., Any]:
    """Stands in for a view and raises."""

    def view(**_: Any) -> Any:
        raise error

    return view


@pytest.fixture(params=[{}, HTMX], ids=["page", "htmx"])
def headers(request: pytest.FixtureRequest) -> dict[str, str]:
    found: dict[str, str] = request.param
    return found


def ours(kind: type[MedfilesError]) -> MedfilesError:
    return WorkerUnavailable() if kind is WorkerUnavailable else kind(SAID)


def test_every_error_of_the_tree_has_a_status() -> None:
    assert {kind: status_of(ours(kind)) for kind in kinds() if kind.__module__ == errors.__name__} == STATUSES
    assert {status_of(ours(kind)) for kind in kinds()} <= set(STATUSES.values())


@pytest.mark.parametrize(("endpoint", "path"), [("records.home", "/"), ("documents.manager", "/documents/visit/1")])
def test_an_error_is_said_in_a_sentence_with_its_status(
    world: World, monkeypatch: pytest.MonkeyPatch, endpoint: str, path: str, headers: dict[str, str]
) -> None:
    client = world.client()
    for kind, status in STATUSES.items():
        if kind not in (errors.SignedOut, errors.ProofNeeded, errors.EditConflict):  # these lead to a form
            monkeypatch.setitem(world.app.view_functions, endpoint, failing(ours(kind)))
            answer = client.get(path, headers=headers)
            assert (answer.status_code, SAID in answer.text) == (status, True)
            assert ("<html" in answer.text) is not bool(headers)
            assert answer.headers.get("Retry-After") == ("5" if status in (429, 503) else None)
            assert answer.mimetype == "text/html"


def test_an_unknown_error_tells_nothing(world: World, monkeypatch: pytest.MonkeyPatch, headers: dict[str, str]) -> None:
    monkeypatch.setitem(world.app.view_functions, "records.home", failing(RuntimeError(INSIDE)))
    answer = world.client().get("/", headers=headers)
    assert answer.status_code == 500
    assert "Something went wrong on our end" in answer.text
    assert not any(word in answer.text for word in [*INSIDE.split(), "RuntimeError", "Traceback"])
    assert ("<html" in answer.text) is not bool(headers)


@pytest.fixture
def gone() -> Iterator[None]:
    """From now on no statement reaches the database, and no new connection either."""

    def refuse(*_: Any, **__: Any) -> None:
        raise OperationalError(INSIDE, {}, Exception(INSIDE))

    engine, moments = db.engine, ("before_cursor_execute", "do_connect")
    for moment in moments:
        event.listen(engine, moment, refuse)
    yield
    for moment in moments:
        event.remove(engine, moment, refuse)


def test_with_the_database_gone_every_page_says_so(
    world: World, request: pytest.FixtureRequest, headers: dict[str, str]
) -> None:
    at, client = world.record().id, world.client()
    token = token_of(client)
    request.getfixturevalue("gone")
    for path in ("/", f"/visit/{at}", f"/documents/visit/{at}", "/account", "/sign-in"):
        answer = client.get(path, headers=headers)
        assert (answer.status_code, answer.headers.get("Retry-After")) == (503, "5"), path
        assert "Please try again" in answer.text
        assert "secret_column" not in answer.text
    answer = client.post(f"/visit/{at}/delete", headers={**headers, "X-CSRFToken": token})
    assert answer.status_code == 503


def test_readiness_asks_database_and_storage(
    world: World, monkeypatch: pytest.MonkeyPatch, request: pytest.FixtureRequest
) -> None:
    client = world.client(None)
    monkeypatch.setattr(world.parts.readiness, "every", 0)
    assert (client.get("/readyz").status_code, client.get("/readyz").text) == (200, "ready\n")
    with monkeypatch.context() as patch:
        patch.setattr(world.parts.storages.default, "check", failing(errors.StorageError(INSIDE)))
        broken = client.get("/readyz")
    request.getfixturevalue("gone")
    alone = client.get("/readyz")
    assert client.get("/healthz").status_code == 200
    assert [(answer.status_code, answer.headers["Retry-After"]) for answer in (broken, alone)] == [(503, "5")] * 2
    assert "secret_column" not in broken.text + alone.text


def test_an_address_nobody_knows_is_not_found(world: World, headers: dict[str, str]) -> None:
    for client in (world.client(), world.client(None)):
        answer = client.get("/no/such/page", headers=headers)
        assert answer.status_code == 404
        assert "does not exist, or you do not have access to it" in answer.text


def test_an_address_that_no_record_has_is_not_found(world: World) -> None:
    record, client = world.record(), world.client()
    assert client.get(f"/visit/{record.id}").status_code == 200
    for path in ("/prescription/1", "/documents/prescription/1", "/patients/1/visit", "/visit/one"):
        assert client.get(path).status_code == 404
    in_another_script = str(record.id).translate({ord("0") + digit: 0x0660 + digit for digit in range(10)})
    for path in ("/visit/{}", "/patients/{}", "/documents/files/{}/download", "/documents/visit/{}/badge"):
        for number in (10**30, in_another_script):
            assert client.get(path.format(number)).status_code == 404


def test_a_method_that_does_not_fit_names_those_that_do(world: World) -> None:
    client = world.client()
    answer = client.delete("/patients/new", headers={"X-CSRFToken": token_of(client)})
    assert answer.status_code == 405
    assert {"GET", "POST"} <= set(answer.headers["Allow"].split(", "))


def test_a_form_that_was_open_for_too_long_says_so(world: World, headers: dict[str, str]) -> None:
    answer = world.client().post("/patients/new", data={"first_name": "Ella"}, headers=headers)
    assert answer.status_code == 403
    assert "open too long" in answer.text


def test_a_form_larger_than_any_form_is_refused(world: World) -> None:
    client = world.client()
    body = {"csrf_token": token_of(client), "notes": "x" * (1024 * 1024 + 1)}
    assert client.post("/patients/new", data=body).status_code == 413


def test_what_fails_in_the_widget_is_said_in_the_widget(world: World) -> None:
    record = world.record()
    file = world.attach(record)
    path = f"/documents/files/{file.id}/restore"
    for fields, place in (({}, "list"), ({"within": "manager"}, "manager")):
        answer, body = world.browser().post(path, **fields), f"mf-{place}-visit-{record.id}-body"
        assert answer.status_code == 409
        assert (answer.headers["HX-Retarget"], answer.headers["HX-Reswap"]) == (f"#{body}", "outerHTML")
        assert f'id="{body}"' in answer.text
        assert "This document is not in the trash." in answer.text
        said = {"message": "This document is not in the trash.", "code": "conflict"}
        assert heard(answer) == {"documents:error": said}


def test_five_hundred_badges_come_in_one_answer_and_badges_that_cannot_be_drawn_are_refused(world: World) -> None:
    record, client = world.record(), world.client()
    ids = ",".join(str(number) for number in range(record.id, record.id + 500))
    answer = client.get(f"/documents/visit/badges?ids={ids}")
    assert (answer.status_code, answer.text.count("data-mf-count")) == (200, 1)
    for query in ("variant=sparkling", "size=xxl", "variant=", "ids=1,two", "ids=-1", f"ids={ids},1"):
        assert client.get(f"/documents/visit/badges?{query}").status_code == 422


def test_a_page_that_refuses_a_form_leads_back_to_it(world: World) -> None:
    client, record = world.client(), world.record()
    page = f"/documents/visit/{record.id}"
    sent = {"action": "delete", "csrf_token": token_of(client)}
    answer = client.post(f"{page}/bulk", data=sent, headers={"Referer": f"http://localhost{page}?q=a"})
    assert (answer.status_code, f'href="{page}?q=a"' in answer.text) == (422, True)


def test_an_impossible_host_is_a_mistake_of_the_client(world: World) -> None:
    for path in ("/", "/healthz", "/static/medfiles.css", "/api/v1/patients"):
        answer = world.client(None).get(path, headers={"Host": f"{'a' * 70}.example"})
        assert (answer.status_code, "could not be understood" in answer.text) == (400, True)
