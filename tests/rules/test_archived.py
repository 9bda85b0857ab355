"""Everything of an archived patient can be read, and nothing changed, except by the operations named here."""

from collections.abc import Iterator

import pytest

from medfiles.service import ALLOWED_WHEN_ARCHIVED
from tests.rules.matrix import HTMX, KINDS, Family, Operation, ask, in_state, shown, stored
from tests.rules.test_matrix import asker
from tests.rules.test_matrix import family as family
from tests.support.api_client import problem

pytestmark = pytest.mark.filterwarnings("ignore:Passing SelectField choices as tuples:DeprecationWarning")
# Pages that exist only to change something.
FORMS = ("/edit", "/new", "/move", "/merge", "/documents/{type}/new?patient={patient}")
OTHERWISE = ("/patients/{patient}/archive", "/patients/{patient}/restore")  # refused as what is already so
ALLOWED = (
    *("/patients/{patient}/delete", "/patients/{patient}/unarchive", "/patients/{patient}/pin"),
    *("/patients/{patient}/unpin", "/shares/{share}", "/sessions/{session}/end"),
    *("/links/{link}", "/links/{link}/revoke", "/links/{link}/smart/{smart}", "/links/{link}/smart/{smart}/end"),
)


@pytest.fixture
def archived(family: Family) -> Iterator[Family]:
    family.world.records().archive_patient(family.patient.id)
    yield family
    family.world.records().unarchive_patient(family.patient.id)


def is_refused(operation: Operation, live: int) -> bool:
    """Whether the operation, answered with `live` for a patient who is not archived, must be refused."""
    deletes_patient = operation.method == "DELETE" and operation.path.endswith("/patients/{patient}")
    if deletes_patient or operation.path.endswith(ALLOWED):
        return False
    asks = operation.path.endswith(FORMS) or "action=move" in operation.sent
    return live not in (308, 404) and (operation.writes or asks)


@pytest.mark.parametrize(
    ("way", "who"),
    [("page", "owner"), ("fragment", "owner"), ("page", "editor"), ("API token", "owner"), ("API session", "editor")],
)
def test_every_change_is_refused_and_every_page_shown(archived: Family, way: str, who: str) -> None:
    by, before, wrong = asker(archived, way, who), stored(archived.world), list[str]()
    if way == "fragment":
        by.headers |= HTMX
    for operation in by.operations:
        live = operation.status(by.level, "active")
        refused = is_refused(operation, live) and live != 403
        if (operation.writes and not refused) or (operation.method, live) == ("POST", 404):
            continue  # what is allowed is tested with its feature
        answer = by.ask(operation, in_state(archived.of(by.kind(operation), "active"), "active"))
        if answer.status_code != (409 if refused else live):
            wrong.append(f"{operation}: {answer.status_code}, not {409 if refused else live}")
        elif refused and operation.is_api and live != 409 and not operation.path.endswith(OTHERWISE):
            problem(answer, 409, "archived")
    assert wrong == []
    assert stored(archived.world) == before


def test_a_stranger_cannot_tell_that_a_patient_is_archived(archived: Family) -> None:
    by = asker(archived, "API token", "stranger")
    for operation in by.operations:
        ids = archived.of(KINDS[1], "active")
        absent = ask(by.client, operation, in_state(ids, "absent"), by.headers)
        assert shown(ask(by.client, operation, ids, by.headers)) == shown(absent), operation


def test_the_operations_that_are_allowed_are_these() -> None:
    ends = {action for action in ALLOWED_WHEN_ARCHIVED if not action.startswith(("list", "view"))}
    assert ends == {
        *("download", "download-by-link", "export-patient", "preview", "search"),
        *("archive-patient", "unarchive-patient", "delete-patient", "restore-patient", "purge-patient"),
        *("revoke-link", "end-smart-link", "unshare"),
        *("pin-patient", "unpin-patient"),
    }
