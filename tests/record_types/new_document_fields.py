"""What test_document_fields runs in a copy of the product that has two more details of documents."""

import io
from typing import Any

import lxml.html
import pytest

import medfiles
from tests.support.api_client import Script, end, part, said, script
from tests.support.factories import World

SENT = {"page_label": "B-2", "paper_date": "2024-02-29"}
OTHERS = [{"page_label": "A-12", "paper_date": "2023-01-01"}, {}]


@pytest.fixture
def by(world: World) -> Script:
    return script(world)


@pytest.fixture
def files(world: World, by: Script) -> str:
    return f"/visit/{world.record().id}/files"


def listed(by: Script, files: str, query: str) -> list[Any]:
    return [file["page_label"] for file in by.get(f"{files}?{query}").get_json()]


def fill(by: Script, files: str) -> list[dict[str, Any]]:
    return [by.upload(files, f"{at}.txt", b"%d" % at, **sent).get_json() for at, sent in enumerate([SENT, *OTHERS])]


def test_uploads_take_it_in_the_form_and_in_the_query(by: Script, files: str) -> None:
    assert "copy" in medfiles.__file__
    assert fill(by, files)[0].items() >= SENT.items()
    body = part("c.txt", b"form") + said("page_label", "C") + said("paper_date", "2020-01-02") + end()
    answer = by.form(files, body).get_json()
    assert (answer["page_label"], answer["paper_date"]) == ("C", "2020-01-02")
    assert by.upload(files, "b.txt", b"more", page_label="x" * 41).status_code == 422
    assert by.upload(files, "b.txt", b"more", paper_date="soon").status_code == 422


def test_it_can_be_changed_and_cleared(by: Script, files: str) -> None:
    at = f"/files/{fill(by, files)[0]['id']}/metadata"
    assert by.put(at, json={"page_label": "D", "paper_date": "2025-05-05"}).get_json()["paper_date"] == "2025-05-05"
    form = {"page_label": "E", "paper_date": "2025-05-06"}
    assert by.ask("PUT", at, data=form).get_json().items() >= form.items()
    assert by.put(at, json={"paper_date": None, "page_label": ""}).get_json().items() >= dict.fromkeys(SENT).items()
    assert by.put(at, json={"page_label": "x" * 41}).status_code == 422


def test_lists_are_sorted_filtered_and_searched_by_it(by: Script, files: str) -> None:
    fill(by, files)
    assert listed(by, files, "sort=page_label") == [None, "A-12", "B-2"]
    assert listed(by, files, "sort=paper_date&order=desc") == ["B-2", "A-12", None]
    assert listed(by, files, "page_label=B-2") == listed(by, files, "paper_date=2024-02-29") == ["B-2"]
    assert listed(by, files, "page_label=none") == [None]
    assert listed(by, files, "q=a-12") == ["A-12"]
    page = by.get(f"{files}?sort=paper_date&limit=1")
    assert listed(by, files, page.headers["Link"].split("?")[1].split(">")[0]) == ["A-12"]


def test_the_openapi_document_has_it(by: Script) -> None:
    document = by.get("/openapi.json").get_json()
    models = document["components"]["schemas"]
    assert all(name in models[model]["properties"] for name in SENT for model in ("File", "Metadata"))
    path = document["paths"]["/api/v1/{type}/{id}/files"]
    assert SENT.keys() <= {parameter["name"] for parameter in path["get"]["parameters"]}
    assert SENT.keys() <= {parameter["name"] for parameter in path["post"]["parameters"]}
    [sort] = [parameter for parameter in path["get"]["parameters"] if parameter["name"] == "sort"]
    assert SENT.keys() <= set(sort["schema"]["enum"])


def test_forms_ask_for_it_and_rows_show_it(world: World, by: Script, files: str) -> None:
    file, client = fill(by, files)[0], world.client()
    here = f"/documents/visit/{file['entity_id']}"
    page, editing = (lxml.html.fromstring(client.get(f"{here}{query}").text) for query in ("", f"?edit={file['id']}"))
    for name, value in SENT.items():
        assert page.cssselect(f"form[enctype] [name={name}]")
        assert page.xpath(f"//template//*[@data-mf-detail='{name}']")
        assert page.cssselect(f"[data-mf-filter] [name={name}]")
        [control] = editing.cssselect(f".mf-edit [name={name}]")
        assert control.get("value") == value
    assert "Page label: B-2" in page.text_content()


def test_the_forms_store_it(world: World, files: str) -> None:
    browser, path = world.browser(htmx=False), f"/documents{files}"
    assert browser.post(path, file=(io.BytesIO(b"paper"), "a.txt"), **SENT).status_code == 303
    [file] = world.files()
    assert (file.page_label, file.paper_date.isoformat()) == tuple(SENT.values())
    before = {f"was_{name}": value for name, value in SENT.items()}
    changed = browser.post(f"/documents/files/{file.id}/edit", page_label="F", paper_date="", **before)
    assert changed.status_code == 303
    [file] = world.files()
    assert (file.page_label, file.paper_date) == ("F", None)
