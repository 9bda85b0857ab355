"""Downloads over HTTP: the bytes as they came, whole or in part, and nothing a browser could run."""

import base64
import hashlib
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import pytest
from werkzeug.test import TestResponse

from medfiles.storage import DiskStorage
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


def test_a_document_comes_back_byte_for_byte_with_its_hash(shelf: Shelf) -> None:
    answer = shelf.get()
    assert (answer.status_code, answer.data, answer.mimetype) == (200, CONTENT, "text/plain")
    assert answer.headers["Content-Length"] == str(SIZE)
    assert answer.headers["ETag"] == f'"{DIGEST}"'
    digest = base64.b64encode(bytes.fromhex(DIGEST)).decode()
    assert answer.headers["Repr-Digest"] == f"sha-256=:{digest}:"
    assert answer.headers["Accept-Ranges"] == "bytes"


SATISFIABLE = (
    ("bytes=0-0", 0, 1),
    ("bytes=10-19", 10, 20),
    (f"bytes={SIZE - 1}-", SIZE - 1, SIZE),
    ("bytes=-1000", SIZE - 1000, SIZE),
    (f"bytes=500-{'9' * 4000}", 500, SIZE),
    (f"bytes={CHUNK - 1}-{CHUNK}", CHUNK - 1, CHUNK + 1),
)
IGNORED = (
    "bytes=0-1,5-6", "bytes=" + ",".join(["0-0"] * 2000), "lines=1-2", "bytes=9-2", "bytes=", "bytes=-", "bytes=x-y",
    "0-5", f"bytes=0-{'9' * 5000}", f"bytes={'9' * 5000}-", "bytes=\u0661-\u0662".encode().decode("latin-1"), "\xff",
)  # fmt: skip


def test_one_range_is_that_range(shelf: Shelf) -> None:
    for asked, start, end in SATISFIABLE:
        answer = shelf.get(Range=asked)
        assert (answer.status_code, answer.data) == (206, CONTENT[start:end])
        assert answer.headers["Content-Range"] == f"bytes {start}-{end - 1}/{SIZE}"
        assert answer.headers["Content-Length"] == str(end - start)
        assert answer.headers["ETag"] == f'"{DIGEST}"'


def test_a_range_beyond_the_end_is_not_satisfiable(shelf: Shelf) -> None:
    for asked in (f"bytes={SIZE}-", f"bytes={SIZE + 5}-{SIZE + 9}", "bytes=99999999999999999999-"):
        answer = shelf.get(Range=asked)
        assert (answer.status_code, answer.headers["Content-Range"]) == (416, f"bytes */{SIZE}")
        assert CONTENT[:20] not in answer.data


def test_any_other_range_gets_the_whole(shelf: Shelf) -> None:
    for asked in (*IGNORED, f"bytes=-{SIZE * 2}"):
        answer = shelf.get(Range=asked)
        assert answer.data == CONTENT, asked
        assert (answer.status_code, "Content-Range" in answer.headers) in ((200, False), (206, True))
    assert shelf.get(If_None_Match='"other"').data == CONTENT


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


def test_a_range_is_of_the_version_the_client_holds(shelf: Shelf) -> None:
    other = ('"other"', "Wed, 21 Oct 2037 07:28:00 GMT", f'W/"{DIGEST}"')
    assert {shelf.get(Range="bytes=0-9", If_Range=held).status_code for held in other} == {200}
    assert shelf.get(Range="bytes=0-9", If_Range=f'"{DIGEST}"').status_code == 206


def test_head_tells_all_and_sends_nothing(shelf: Shelf, produced: list[int]) -> None:
    head, whole = shelf.get("HEAD"), shelf.get()
    assert (head.status_code, head.data) == (200, b"")
    head_headers, whole_headers = (
        {name: value for name, value in answer.headers.items() if name != "X-Request-Id"} for answer in (head, whole)
    )
    assert head_headers == whole_headers
    assert sum(produced) == SIZE


def test_nothing_in_the_address_changes_what_is_sent(shelf: Shelf) -> None:
    plain = shelf.get()
    shelf.path += "?name=evil.html&filename=evil.html&disposition=inline&type=text/html"
    answer = shelf.get()
    assert all(answer.headers[name] == plain.headers[name] for name in ("Content-Disposition", "Content-Type"))


def test_a_truncated_or_missing_object_is_never_sent_as_the_document(shelf: Shelf) -> None:
    [file] = shelf.world.files()
    with (shelf.world.uploads / file.file_path).open("r+b") as stored:
        stored.truncate(1000)
    assert [shelf.get().status_code, shelf.get(Range="bytes=0-9").status_code] == [503, 503]
    (shelf.world.uploads / file.file_path).unlink()
    answer = shelf.get()
    assert (answer.status_code, answer.headers["Retry-After"]) == (503, "5")
    assert file.file_path not in answer.text
    assert answer.headers["X-Content-Type-Options"] == "nosniff"


def test_many_ranges_of_one_document_are_one_opening(shelf: Shelf) -> None:
    for start in range(5):
        shelf.get(Range=f"bytes={start}-{start + 10}")
    assert len(shelf.world.events(action="download")) == 1
