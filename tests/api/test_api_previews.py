"""Previews over the API: pictures as WebP, what has no pages as JSON, and every refusal as a problem."""

from io import BytesIO
from typing import Any
from urllib.parse import unquote

import pypdfium2
import pytest
from PIL import Image
from werkzeug.test import TestResponse

from medfiles.models import EntityFile
from tests.support import samples
from tests.support.api_client import problem
from tests.support.factories import World


def ask(world: World, file: EntityFile, what: str = "preview", **query: Any) -> TestResponse:
    client = world.client()
    return client.get(f"/api/v1/files/{file.id}/{what}", query_string=query, buffered=True)


def size(answer: TestResponse) -> tuple[int, int]:
    assert (answer.status_code, answer.mimetype) == (200, "image/webp"), answer.get_data(as_text=True)
    return Image.open(BytesIO(answer.data), formats=["WEBP"]).size


def test_a_page_is_a_picture_of_the_wanted_width(world: World) -> None:
    file = world.attach(world.record(), content=samples.pdf(pages=2))
    assert size(ask(world, file)) == (960, 1359)
    assert size(ask(world, file, page=2, width=480)) == (480, 680)
    assert size(ask(world, file, "thumbnail")) == (240, 340)
    assert size(ask(world, file, width=160)) == (160, 227)
    first, second = (ask(world, file, page=page, width=480) for page in (1, 2))
    assert first.data != second.data
    again = world.client().get(
        f"/api/v1/files/{file.id}/preview", headers={"If-None-Match": ask(world, file).headers["ETag"]}
    )
    assert (again.status_code, again.data) == (304, b"")


def test_a_dicom_image_is_shown_through_the_wanted_window(world: World) -> None:
    file = world.attach(world.record("procedure"), "slice.dcm")
    seen = [ask(world, file, **query) for query in ({}, {"window": "40,400"}, {"window": "-600.5,1500"})]
    assert {size(answer) for answer in seen} == {(128, 128)}
    assert len({answer.data for answer in seen}) == 3


def test_text_tables_and_words_come_as_json(world: World) -> None:
    record = world.record("lab-result")
    shown = {
        name: ask(world, world.attach(record, name)).get_json()
        for name in ("note.txt", "values.csv", "letter.docx", "sheet.xlsx")
    }
    assert shown["note.txt"] == {"kind": "text", "text": samples.txt().decode(), "note": None}
    assert shown["values.csv"]["rows"][0] == ["date", "test", "value"]
    assert shown["letter.docx"] == {"kind": "html", "html": "<p>Visit summary</p>", "note": None}
    assert shown["sheet.xlsx"] == {"kind": "table", "rows": [["5.4"]], "sheets": ["Results"], "note": None}
    sheet = world.attach(record, "sheet.xlsx", samples.xlsx())
    assert ask(world, sheet, page=2).status_code == 404
    assert ask(world, sheet, "thumbnail").status_code == 404


def test_impossible_pages_widths_and_windows_are_refused(world: World) -> None:
    file = world.attach(world.record(), content=samples.pdf(pages=2))
    for query in ({"page": 3}, {"window": "40,400"}):
        assert problem(ask(world, file, **query), 404, "not-found")
    for query in ({"page": 0}, {"page": "1234567"}, {"width": 481}, {"window": "40"}, {"window": "40,0"}):
        assert problem(ask(world, file, **query), 422, "rejected")


@pytest.mark.parametrize(("name", "content"), [("locked.pdf", samples.locked_pdf()), ("old.doc", samples.doc())])
def test_what_cannot_be_shown_says_why(world: World, name: str, content: bytes) -> None:
    assert "Download" in problem(ask(world, world.attach(world.record(), name, content)), 422, "no-preview")["detail"]


def test_a_kind_without_previews_offers_thumbnails_only(without_previews: World) -> None:
    file = without_previews.attach(without_previews.record("insurance"), "card.pdf")
    assert ask(without_previews, file).status_code == 403
    assert size(ask(without_previews, file, "thumbnail")) == (240, 340)


def test_the_document_says_what_previews_answer(world: World) -> None:
    paths = world.client().get("/api/v1/openapi.json").get_json()["paths"]
    preview = paths["/api/v1/files/{file_id}/preview"]["get"]
    assert set(preview["responses"]["200"]["content"]) == {"image/webp", "application/json"}
    names = [entry["name"] for entry in preview["parameters"]]
    assert names == ["file_id", "page", "width", "window", "retry", "encoding", "If-None-Match"]
    assert set(paths["/api/v1/files/{file_id}/thumbnail"]["get"]["responses"]["200"]["content"]) == {"image/webp"}


def test_what_a_picture_leaves_out_is_a_header(world: World) -> None:
    document = pypdfium2.PdfDocument(samples.pdf())
    document.new_attachment("Größe.csv").set_data(b"1,2")
    target = BytesIO()
    document.save(target)
    answer = ask(world, world.attach(world.record(), "letter.pdf", target.getvalue()))
    note = answer.headers["Preview-Note"]
    assert note.isascii()
    assert unquote(note).startswith("Attached files are not shown: Größe.csv.")
    assert "Preview-Note" not in ask(world, world.attach(world.record(), "plain.pdf", samples.pdf())).headers


def test_another_encoding_can_be_chosen(world: World) -> None:
    file = world.attach(world.record("lab-result"), "note.txt", "анализ крови в норме".encode("koi8_r"))
    assert ask(world, file).get_json()["text"] == "анализ крови в норме"
    other = ask(world, file, encoding="cp1251").get_json()
    assert other["text"] == "анализ крови в норме".encode("koi8_r").decode("cp1251")
    assert "Cyrillic (Windows-1251), as you chose" in other["note"]
    assert ask(world, file, encoding="rot13").status_code == 422
