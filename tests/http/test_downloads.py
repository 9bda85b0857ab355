"""Downloads over HTTP: the bytes as they came, whole or in part, and nothing a browser could run."""

import base64
import hashlib
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import pytest
from werkzeug.test import TestResponse

from medfiles.storage import DiskStorage
from tests.support import samples
from tests.support.factories import World

CONTENT = b"".join(b"line %06d of a long text\n" % number for number in range(40_000))  # 1,040,000 bytes
SIZE, DIGEST = len(CONTENT), hashlib.sha256(CONTENT).hexdigest()
CHUNK = 256 * 1024


@dataclass
class Shelf:
    """One large document, and a browser that may have it."""

    world: World
    path: str
    client: Any

    def get(self, method: str = "GET", **headers: str) -> TestResponse:
        asked = {name.replace("_", "-"): value for name, value in headers.items()}
        answer: TestResponse = self.client.open(self.path, method=method, headers=asked, buffered=True)
        return answer


@pytest.fixture
def shelf(world: World) -> Shelf:
    file = world.attach(world.record(), "long.txt", CONTENT)
    client = world.client()
    assert client.get("/account").status_code == 200  # the session is an old one
    return Shelf(world, f"/documents/files/{file.id}/download", client)


@pytest.fixture
def produced(shelf: Shelf, monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """How many bytes the storage gave out, chunk by chunk."""
    sizes: list[int] = []
    opened = DiskStorage.open

    def watched(self: DiskStorage, key: str, start: int = 0, end: int | None = None) -> Iterator[bytes]:
        for chunk in opened(self, key, start, end):
            sizes.append(len(chunk))
            yield chunk

    monkeypatch.setattr(DiskStorage, "open", watched)
    return sizes


@pytest.mark.parametrize(
    ("kind", "extension"), [("lab-result", ".tiff"), ("visit", ".docx"), ("procedure", ".dcm"), ("insurance", ".heic")]
)
def test_a_document_comes_back_byte_for_byte(world: World, kind: str, extension: str) -> None:
    content = samples.SAMPLES[extension]()
    file = world.attach(world.record(kind), f"paper{extension}", content)
    answer = world.client().get(f"/documents/files/{file.id}/download")
    assert (answer.status_code, answer.data, answer.mimetype) == (200, content, file.file_type)
    assert answer.headers["Content-Length"] == str(len(content))


def test_the_answer_names_its_own_hash(shelf: Shelf) -> None:
    answer = shelf.get()
    assert answer.headers["ETag"] == f'"{DIGEST}"'
    digest = base64.b64encode(bytes.fromhex(DIGEST)).decode()
    assert answer.headers["Repr-Digest"] == f"sha-256=:{digest}:"
    assert hashlib.sha256(answer.data).hexdigest() == DIGEST


def test_no_browser_runs_or_keeps_or_shows_a_document(shelf: Shelf) -> None:
    headers = shelf.get().headers
    assert headers["Content-Security-Policy"] == "default-src 'none'; sandbox; frame-ancestors 'none'"
    assert headers["X-Content-Type-Options"] == "nosniff"
    assert headers["Cross-Origin-Resource-Policy"] == "same-origin"
    assert headers["Cache-Control"] == "private, no-store"
    assert headers["Content-Disposition"].startswith("attachment")
    assert headers["Accept-Ranges"] == "bytes"


@pytest.mark.parametrize(
    ("asked", "start", "end"),
    [
        ("bytes=0-0", 0, 1),
        ("bytes=10-19", 10, 20),
        (f"bytes={SIZE - 1}-", SIZE - 1, SIZE),
        ("bytes=-1000", SIZE - 1000, SIZE),
        ("bytes=500-99999999999999999999", 500, SIZE),
        (f"bytes={CHUNK - 1}-{CHUNK}", CHUNK - 1, CHUNK + 1),
    ],
)
def test_one_range_is_that_range(shelf: Shelf, asked: str, start: int, end: int) -> None:
    answer = shelf.get(Range=asked)
    assert (answer.status_code, answer.data) == (206, CONTENT[start:end])
    assert answer.headers["Content-Range"] == f"bytes {start}-{end - 1}/{SIZE}"
    assert answer.headers["Content-Length"] == str(end - start)
    assert answer.headers["ETag"] == f'"{DIGEST}"'


@pytest.mark.parametrize("asked", [f"bytes={SIZE}-", f"bytes={SIZE + 5}-{SIZE + 9}", "bytes=99999999999999999999-"])
def test_a_range_beyond_the_end_is_not_satisfiable(shelf: Shelf, asked: str) -> None:
    answer = shelf.get(Range=asked)
    assert (answer.status_code, answer.headers["Content-Range"]) == (416, f"bytes */{SIZE}")
    assert CONTENT[:20] not in answer.data


@pytest.mark.parametrize(
    "asked",
    ["bytes=0-1,5-6", "bytes=" + ",".join(["0-0"] * 2000), "lines=1-2", "bytes=9-2", "bytes=", "bytes=x-y", "0-5"],
)
def test_any_other_range_gets_the_whole(shelf: Shelf, asked: str) -> None:
    answer = shelf.get(Range=asked)
    assert (answer.status_code, answer.data) == (200, CONTENT)
    assert "Content-Range" not in answer.headers


def test_a_suffix_longer_than_the_document_is_the_whole(shelf: Shelf) -> None:
    answer = shelf.get(Range=f"bytes=-{SIZE * 2}")
    assert answer.status_code in (200, 206)
    assert answer.data == CONTENT


def test_a_range_goes_down_to_the_storage(shelf: Shelf, produced: list[int]) -> None:
    assert shelf.get(Range="bytes=500000-500999").data == CONTENT[500_000:501_000]
    assert sum(produced) == 1000


def test_the_whole_comes_in_chunks(shelf: Shelf, produced: list[int]) -> None:
    assert shelf.get().data == CONTENT
    assert max(produced) <= CHUNK
    assert sum(produced) == SIZE


def test_what_the_asker_has_already_is_not_sent_again(shelf: Shelf, produced: list[int]) -> None:
    for held in (f'"{DIGEST}"', f'"other", "{DIGEST}"', f'W/"{DIGEST}"', "*"):
        answer = shelf.get(If_None_Match=held)
        assert (answer.status_code, answer.data) == (304, b"")
        assert answer.headers["ETag"] == f'"{DIGEST}"'
    assert produced == []


def test_what_the_asker_has_of_something_else_is_sent(shelf: Shelf) -> None:
    assert shelf.get(If_None_Match='"other"').data == CONTENT


@pytest.mark.parametrize(
    ("held", "status"),
    [(f'"{DIGEST}"', 206), ('"other"', 200), ("Wed, 21 Oct 2037 07:28:00 GMT", 200), (f'W/"{DIGEST}"', 200)],
)
def test_a_range_is_of_the_version_the_asker_holds(shelf: Shelf, held: str, status: int) -> None:
    assert shelf.get(Range="bytes=0-9", If_Range=held).status_code == status


def test_head_tells_all_and_sends_nothing(shelf: Shelf, produced: list[int]) -> None:
    head, whole = shelf.get("HEAD"), shelf.get()
    assert (head.status_code, head.data) == (200, b"")
    differing = {"X-Request-Id"}
    assert {name: value for name, value in head.headers.items() if name not in differing} == {
        name: value for name, value in whole.headers.items() if name not in differing
    }
    assert sum(produced) == SIZE


@pytest.mark.parametrize("query", ["name=evil.html", "disposition=inline", "type=text/html", "filename=evil.html"])
def test_nothing_in_the_address_changes_what_is_sent(shelf: Shelf, query: str) -> None:
    plain = shelf.get()
    shelf.path += f"?{query}"
    answer = shelf.get()
    for name in ("Content-Disposition", "Content-Type"):
        assert answer.headers[name] == plain.headers[name]


def test_bytes_that_cannot_be_found_are_not_the_askers_fault(shelf: Shelf) -> None:
    [file] = shelf.world.files()
    (shelf.world.uploads / file.file_path).unlink()
    answer = shelf.get()
    assert (answer.status_code, answer.headers["Retry-After"]) == (503, "5")
    assert file.file_path not in answer.text
    assert answer.headers["X-Content-Type-Options"] == "nosniff"


def test_a_cut_off_object_is_never_sent_as_the_document(shelf: Shelf) -> None:
    [file] = shelf.world.files()
    with (shelf.world.uploads / file.file_path).open("r+b") as stored:
        stored.truncate(1000)
    assert shelf.get().status_code == 503
    assert shelf.get(Range="bytes=0-9").status_code == 503


def test_many_ranges_of_one_document_are_one_opening(shelf: Shelf) -> None:
    for start in range(5):
        shelf.get(Range=f"bytes={start}-{start + 10}")
    assert len(shelf.world.events(action="download")) == 1
