"""Every answer that carries what somebody uploaded, or what was made of it: no browser runs, guesses or lends it."""

from collections.abc import Callable, Mapping

import pytest
from werkzeug.test import TestResponse

from medfiles.sandbox.render.spec import THUMBNAIL, recipe
from tests.support import samples
from tests.support.api_client import script
from tests.support.factories import World

POLICY = "default-src 'none'; sandbox; frame-ancestors 'none'"
PICTURE = f"/documents/files/{{file}}/pictures/{{sha256}}-{recipe(THUMBNAIL)}/1.webp"
ANSWERS: Mapping[str, tuple[str, bool]] = {  # where it is, and whether it is a derived picture
    "a document": ("/documents/files/{file}/download", False),
    "a document over the API": ("/api/v1/files/{file}/download", False),
    "a ZIP over the API": ("/api/v1/files/archive?ids={file}", False),
    "a picture": (PICTURE, True),
    "a picture over the API": ("/api/v1/files/{file}/preview", True),
    "a thumbnail over the API": ("/api/v1/files/{file}/thumbnail", True),
}
Ask = Callable[[str], TestResponse]


@pytest.fixture
def ask(world: World) -> Ask:
    record = world.record("lab-result")
    file = world.attach(record, "scan.png", samples.png())
    page, by = world.client(), script(world)
    ids = {"file": file.id, "sha256": file.sha256}

    def ask(where: str) -> TestResponse:
        return page.get(where.format(**ids), headers=by.headers if where.startswith("/api") else {}, buffered=True)

    return ask


def assert_safe(answer: TestResponse, is_picture: bool) -> None:
    assert answer.status_code == 200
    assert answer.headers["Content-Security-Policy"] == POLICY
    assert answer.headers["Cross-Origin-Resource-Policy"] == "same-origin"
    assert answer.headers["X-Content-Type-Options"] == "nosniff"
    if is_picture:
        assert (answer.headers["Cache-Control"].startswith("private, "), answer.mimetype) == (True, "image/webp")
    else:
        assert answer.headers["Cache-Control"] == "private, no-store"
        assert answer.headers["Content-Disposition"].startswith("attachment")


@pytest.mark.parametrize("name", ANSWERS)
def test_browsers_neither_run_nor_guess_nor_share_what_was_uploaded(ask: Ask, name: str) -> None:
    where, is_picture = ANSWERS[name]
    assert_safe(ask(where), is_picture)


def test_several_documents_at_once_are_as_safe(world: World) -> None:
    record = world.record()
    world.attach(record, "letter.txt")
    answer = world.browser().post(f"/documents/visit/{record.id}/bulk", action="download", all="1")
    assert_safe(answer, is_picture=False)
