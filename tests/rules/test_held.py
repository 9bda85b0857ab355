"""What a malware scan holds back is given out under no address, whatever is asked: found from the URL map.

The same walk over a document that is not held finds its words and its picture at many of them.
"""

from collections.abc import Iterator
from itertools import product
from typing import Any

import pytest
from werkzeug.test import TestResponse

from medfiles.database.session import transaction
from medfiles.models import EntityFile
from medfiles.permissions import Action
from medfiles.sandbox.render.spec import WIDTHS, recipe
from tests.support import samples
from tests.support.api_client import script
from tests.support.factories import World, token_of

WORDS = b"Ella slept well and ate an apple"
OWNER, OTHER = "nora@sample.example", "otto@sample.example"


def addresses(world: World, file: EntityFile) -> Iterator[tuple[str, str]]:
    """Method and address of all that is about this document or its record."""
    known: dict[str, Any] = {
        "file_id": file.id, "id": file.entity_id, "type": world.kind(file.entity_type), "patient_id": file.patient_id,
        "plural": world.kind(file.entity_type), "sha256": file.sha256, "page": 1,
    }  # fmt: skip
    asked = f"?file_ids={file.id}&ids={file.id}&action=download&all=1"
    at = world.app.url_map.bind("localhost")
    for rule in world.app.url_map.iter_rules():
        for word in [recipe(width) for width in WIDTHS] if "recipe" in rule.arguments else [""]:
            values = known | {"recipe": word}
            about = rule.arguments <= values.keys() and ("file_id" in rule.arguments or "id" in rule.arguments)
            if about or rule.endpoint.endswith("archive"):
                path = at.build(rule.endpoint, {name: values[name] for name in rule.arguments})
                yield from (("GET", path + query) for query in ("", asked) if "GET" in (rule.methods or ()))


def answers(world: World, file: EntityFile, email: str) -> Iterator[tuple[str, TestResponse]]:
    browser, by = world.client(email), script(world, email)
    for htmx, (method, path) in product((False, True), addresses(world, file)):
        headers = {"HX-Request": "true"} if htmx else by.headers if path.startswith("/api") else {}
        yield f"{method} {path}", browser.open(path, method=method, headers=headers, buffered=True)
    for action in ("download", "print"):
        data = {"action": action, "file_ids": str(file.id), "csrf_token": token_of(browser)}
        path = f"/documents/{file.entity_type}/{file.entity_id}/bulk"
        yield f"{action} many", browser.post(path, data=data, buffered=True)
    sent = {"action": "download", "ids": [file.id]}
    yield "bulk of the API", by.post("/files/bulk", sent)


def given_out(world: World, file: EntityFile, email: str) -> list[str]:
    """Where its words or a picture of it came."""
    return [
        where
        for where, answer in answers(world, file, email)
        if WORDS in answer.data or answer.mimetype == "image/webp" or samples.jpeg() in answer.data
    ]


def letter_and_photo(world: World) -> list[EntityFile]:
    """Otto may change them."""
    patient = world.patient()
    world.share(patient, OTHER, Action.EDIT)
    record = world.record(patient=patient)
    return [world.attach(record, "letter.txt", WORDS), world.attach(record, "photo.jpg", samples.jpeg())]


def mark(files: list[EntityFile], scan: str) -> None:
    with transaction() as session:
        for file in files:
            session.get_one(EntityFile, file.id).scan = scan


@pytest.mark.parametrize(("scan", "email"), [("infected", OWNER), ("waiting", OTHER)])
def test_what_a_scan_holds_back_is_given_out_nowhere(world: World, scan: str, email: str) -> None:
    files = letter_and_photo(world)
    mark(files, scan)
    assert [given_out(world, file, email) for file in files] == [[], []]


def test_what_is_not_scanned_yet_is_given_to_its_owner(world: World) -> None:
    letter, photo = letter_and_photo(world)
    mark([letter, photo], "waiting")
    words, pictures = given_out(world, letter, OWNER), given_out(world, photo, OWNER)
    assert {where.split("?")[0].rpartition("/")[2] for where in words} >= {"download", "preview", "print"}
    assert {"download many", "print many"} <= set(words)
    assert all(any(word in where for where in pictures) for word in ("thumbnail", "/pictures/"))
    assert any("archive" in where for where in words)
