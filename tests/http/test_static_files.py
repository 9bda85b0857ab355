"""Scripts, styles, fonts and icons: kept by browsers under an address that changes with them."""

import re
from pathlib import Path

import pytest

from medfiles.http import static_files
from tests.support.factories import World

IMMUTABLE = "public, max-age=31536000, immutable"


def test_pages_name_their_scripts_and_styles_by_an_address_that_may_be_kept_for_ever(world: World) -> None:
    client = world.client()
    page = client.get("/").get_data(as_text=True)
    named = re.findall(r'(?:src|href)="(/static/[^"]+)"', page)
    assert {path.rpartition("/")[2] for path in named} >= {"medfiles.css", "medfiles.js", "htmx.min.js", "favicon.svg"}
    for path in named:
        answer = client.get(path, buffered=True)
        assert (answer.status_code, answer.headers["Cache-Control"]) == (200, IMMUTABLE)


@pytest.mark.parametrize("path", ["/static/medfiles.js", "/static/@0123456789ab/medfiles.js"])
def test_by_any_other_address_they_are_asked_for_anew_each_time(world: World, path: str) -> None:
    client = world.client()
    answer = client.get(path, buffered=True)
    assert (answer.status_code, answer.headers["Cache-Control"]) == (200, "no-cache")
    assert answer.data == (static_files.FOLDER / "medfiles.js").read_bytes()
    assert client.get(path, headers={"If-None-Match": answer.headers["ETag"]}, buffered=True).status_code == 304


def test_the_version_is_another_one_when_any_file_is(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(static_files, "FOLDER", tmp_path)
    versions = []
    for name, content in (("a.js", "1"), ("a.js", "2"), ("b.js", "")):
        (tmp_path / name).write_text(content)
        static_files.current_version.cache_clear()
        versions.append(static_files.current_version())
    assert len(set(versions)) == 3
    static_files.current_version.cache_clear()


@pytest.mark.parametrize("path", ["/static/../wsgi.py", "/static/@x/../../wsgi.py", "/static/@x/%2e%2e/wsgi.py"])
def test_nothing_outside_the_folder_is_sent(world: World, path: str) -> None:
    assert world.client().get(path).status_code == 404
