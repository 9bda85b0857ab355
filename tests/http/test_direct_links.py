"""Links into the object store, for programs that ask for them: off by themselves, written down, good for a minute."""

import urllib.error
import urllib.parse
import urllib.request
from collections.abc import Callable
from hashlib import sha256

import pytest

from medfiles.config import SettingError, load
from tests.support import samples
from tests.support.api_client import problem, script
from tests.support.factories import World

pytestmark = pytest.mark.database

SECONDS = "45"


@pytest.fixture
def linking(make_world: Callable[..., World], bucket: Callable[[], str]) -> World:
    return make_world(STORAGE_URL=bucket(), DIRECT_LINKS=SECONDS)


def test_a_link_leads_to_the_bytes_and_is_a_download_in_the_audit_log(linking: World) -> None:
    file = linking.attach(linking.record())
    told = script(linking).ask("GET", f"/files/{file.id}/download?direct=1")
    assert (told.status_code, told.data) == (307, b"")
    assert told.headers["Cache-Control"] == "private, no-store"
    with urllib.request.urlopen(told.location, timeout=20) as answer:
        assert sha256(answer.read()).hexdigest() == file.sha256
    assert urllib.parse.parse_qs(urllib.parse.urlsplit(told.location).query)["X-Amz-Expires"] == [SECONDS]
    assert [event.file_id for event in linking.events(action="download")] == [file.id]


def test_a_link_that_was_altered_leads_nowhere(linking: World) -> None:
    first, other = linking.attach(linking.record()), linking.attach(linking.record(), "photo.png")
    link = script(linking).ask("GET", f"/files/{first.id}/download?direct=1").location
    for wrong in (link.replace(first.file_path, other.file_path), link.replace(f"Expires={SECONDS}", "Expires=99999")):
        assert wrong != link
        with pytest.raises(urllib.error.HTTPError) as refused:
            urllib.request.urlopen(wrong, timeout=20)
        assert refused.value.code == 403
        refused.value.close()


def test_without_asking_or_access_there_is_no_link(linking: World) -> None:
    path = f"/files/{linking.attach(linking.record()).id}/download"
    answer = script(linking).get(path)
    assert (answer.status_code, answer.data) == (200, samples.pdf())
    assert problem(script(linking, "otto@sample.example").ask("GET", f"{path}?direct=1"), 404, "not-found")


@pytest.mark.parametrize("seconds", ["0", SECONDS])
def test_a_disk_has_no_links(make_world: Callable[..., World], seconds: str) -> None:
    world = make_world(DIRECT_LINKS=seconds)
    answer = script(world).ask("GET", f"/files/{world.attach(world.record()).id}/download?direct=1")
    assert (answer.status_code, answer.data) == (200, samples.pdf())


def test_links_are_off_by_default_and_never_valid_for_more_than_a_minute() -> None:
    assert load({})["MEDFILES_DIRECT_LINKS"] == 0
    for seconds in ("61", "-1"):
        with pytest.raises(SettingError, match="0<=x<=60"):
            load({"MEDFILES_DIRECT_LINKS": seconds})


def test_where_nginx_finds_documents_is_a_path() -> None:
    for wrong in ("inside", "/inside", "/a b/", "/../"):
        with pytest.raises(SettingError, match="documents-inside"):
            load({"MEDFILES_ACCEL": wrong})
