"""Pages, JSON, scripts and styles are compressed where nothing can be learned from the length."""

import gzip
from typing import Any

import pytest
from werkzeug.test import TestResponse

from medfiles.http import static_files
from tests.support.api_client import script
from tests.support.factories import World

GZIP = {"Accept-Encoding": "br, gzip, deflate"}
SCRIPT = "/static/medfiles.js"


def is_compressed(answer: TestResponse) -> bool:
    return answer.headers.get("Content-Encoding") == "gzip"


def test_page_is_compressed_and_the_same(world: World) -> None:
    client = world.client()
    [plain, packed] = [client.get("/patients/new", headers=headers) for headers in ({}, GZIP)]
    assert (is_compressed(plain), is_compressed(packed)) == (False, True)
    text = gzip.decompress(packed.data).decode()
    assert (text.strip()[:15], text.strip()[-7:]) == ("<!doctype html>", "</html>")
    assert int(packed.headers["Content-Length"]) == len(packed.data) < len(plain.data) / 2
    assert "Accept-Encoding" in plain.headers["Vary"]
    assert "Accept-Encoding" in packed.headers["Vary"]


@pytest.mark.parametrize(
    ("headers", "compressed"),
    [
        ({"Sec-Fetch-Site": "same-origin"}, True),
        ({"Sec-Fetch-Site": "none"}, True),
        ({"Sec-Fetch-Site": "same-site"}, False),
        ({"Sec-Fetch-Site": "cross-site"}, False),
        ({"Accept-Encoding": "gzip;q=0, identity"}, False),
        ({"Accept-Encoding": "br"}, False),
    ],
)
def test_request_decides_whether_a_page_is_compressed(world: World, headers: dict[str, str], compressed: bool) -> None:
    assert is_compressed(world.client().get("/", headers=GZIP | headers)) is compressed


def test_page_over_https_needs_a_browser_that_names_the_site(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    client = world.app.test_client()
    monkeypatch.setitem(world.app.config, "SESSION_COOKIE_SECURE", True)
    assert not is_compressed(client.get("/sign-in", headers=GZIP))
    assert is_compressed(client.get("/sign-in", headers=GZIP | {"Sec-Fetch-Site": "none"}))


def test_json_with_a_weak_etag_is_compressed_and_revalidated(world: World) -> None:
    by, record = script(world), world.record()
    world.store(record, *["letter.txt"] * 20)
    path = f"/visit/{record.id}/files"
    answer = by.ask("GET", path, headers=GZIP)
    assert is_compressed(answer)
    etag = answer.headers["ETag"]
    assert etag.startswith("W/")
    again = by.ask("GET", path, headers=GZIP | {"If-None-Match": etag})
    assert (again.status_code, again.data, is_compressed(again)) == (304, b"", False)


def test_documents_come_as_they_are(world: World) -> None:
    client, text = world.client(), b"A letter.\n" * 1000
    file = world.attach(world.record(), "letter.txt", text)
    answer = client.get(f"/documents/files/{file.id}/download", headers=GZIP, buffered=True)
    assert (answer.data, is_compressed(answer)) == (text, False)
    part = client.get(f"/documents/files/{file.id}/download", headers=GZIP | {"Range": "bytes=0-9"}, buffered=True)
    assert (part.status_code, part.data, is_compressed(part)) == (206, text[:10], False)


def test_small_answers_are_not_compressed(world: World) -> None:
    assert not is_compressed(world.client().get("/healthz", headers=GZIP))


def test_scripts_and_styles_are_compressed_once(world: World) -> None:
    client = world.client()
    static_files._gzip.cache_clear()
    for name in ("medfiles.js", "medfiles.css", "icons.svg", "vendor/htmx.min.js"):
        for _ in range(2):
            answer = client.get(f"/static/{name}", headers=GZIP)
            assert is_compressed(answer)
            assert gzip.decompress(answer.data) == (static_files.FOLDER / name).read_bytes()
    assert static_files._gzip.cache_info().misses == 4
    assert not is_compressed(client.get("/static/sign-in.webp", headers=GZIP, buffered=True))


def test_each_form_of_a_script_has_its_own_etag(world: World) -> None:
    client = world.client()
    forms: list[Any] = [client.get(SCRIPT, headers=headers, buffered=True) for headers in ({}, GZIP)]
    assert forms[0].headers["ETag"] != forms[1].headers["ETag"]
    assert all("Accept-Encoding" in form.headers["Vary"] for form in forms)
    for headers, form, other in (({}, *forms), (GZIP, *forms[::-1])):
        known = client.get(SCRIPT, headers=headers | {"If-None-Match": form.headers["ETag"]}, buffered=True)
        assert (known.status_code, known.data) == (304, b"")
        changed = client.get(SCRIPT, headers=headers | {"If-None-Match": other.headers["ETag"]}, buffered=True)
        assert changed.status_code == 200


def test_range_of_a_script_is_of_the_script_itself(world: World) -> None:
    answer = world.client().get(SCRIPT, headers=GZIP | {"Range": "bytes=0-9"}, buffered=True)
    content = (static_files.FOLDER / "medfiles.js").read_bytes()
    assert (answer.status_code, answer.data, is_compressed(answer)) == (206, content[:10], False)
