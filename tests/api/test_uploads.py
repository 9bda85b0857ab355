"""Uploads and downloads over JSON: whole or not at all, once however often they are tried, byte for byte."""

import base64
import hashlib
import math
import random
import re
import unicodedata
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from werkzeug.test import TestResponse

from medfiles.record_types.declared import RECORD_TYPES
from tests.http.test_file_names import parsed
from tests.support import samples
from tests.support.api_client import HOME, RAW, Script, disposition, end, part, problem, said, script
from tests.support.extent import Extent
from tests.support.factories import World, run_at_once

LIMIT = 256 * 1024  # of a visit's document in these tests
CONTENT = b"The quick brown fox jumps over the lazy dog.\n" * 100


@dataclass
class Desk:
    """A visit that takes any number of documents of up to a quarter of a megabyte, and its owner's script."""

    world: World
    by: Script
    record: int

    @property
    def files(self) -> str:
        return f"/visit/{self.record}/files"

    def send(self, name: str = "letter.txt", content: bytes = CONTENT, key: str | None = None) -> TestResponse:
        return self.by.upload(self.files, name, content, key)

    def form(self, *parts: bytes, key: str | None = None) -> TestResponse:
        return self.by.form(self.files, b"".join(parts) + end(), key)

    def download(self, answer: TestResponse, **headers: str) -> TestResponse:
        return self.by.get(f"/files/{answer.get_json()['id']}/download", **headers)

    def assert_untouched(self) -> None:
        """No row, no object, no temporary file, nothing to reconcile."""
        assert self.world.files() == []
        assert list(self.world.parts.storages.default.keys()) == []
        self.world.assert_settled()


def desk_in(world: World) -> Desk:
    return Desk(world, script(world), world.record().id)


@pytest.fixture
def make_desk(make_world: Callable[..., World], tmp_path: Path) -> Callable[..., Desk]:
    def make(max_files: int = 100_000, max_size_mb: float = 0.25) -> Desk:
        limits = tmp_path / "limits.toml"
        limits.write_text(f"[visit]\nmax_size_mb = {max_size_mb}\nmax_files = {max_files}\n")
        return desk_in(make_world(ENTITIES=str(limits)))

    return make


@pytest.fixture
def desk(make_desk: Callable[..., Desk]) -> Desk:
    return make_desk()


# --- what is stored -----------------------------------------------------------------------------------------------


def test_a_new_document_is_told_whole_and_where_it_is(desk: Desk) -> None:
    answer = desk.by.upload(desk.files, "Überweisung.pdf", samples.pdf(3), description="Said", category="referral")
    told = answer.get_json()
    assert (answer.status_code, answer.headers["Location"]) == (201, f"{HOME}/files/{told['id']}")
    assert desk.by.get(f"/files/{told['id']}").get_json() == told
    assert answer.headers["ETag"] == desk.by.get(f"/files/{told['id']}").headers["ETag"]
    assert (told["file_name"], told["description"], told["category"]) == ("Überweisung.pdf", "Said", "referral")
    assert (told["file_type"], told["file_size"], told["pages"]) == ("application/pdf", len(samples.pdf(3)), 3)
    assert told["sha256"] == hashlib.sha256(samples.pdf(3)).hexdigest()
    desk.world.assert_settled()


def test_a_form_is_stored_as_raw_bytes_are(desk: Desk) -> None:
    answer = desk.form(said("description", "Said"), part("letter.txt", CONTENT), said("category", "referral"))
    assert answer.status_code == 201
    told, raw = answer.get_json(), desk.send().get_json()
    assert (told["description"], told["category"]) == ("Said", "referral")
    assert {name: told[name] for name in ("sha256", "file_type", "file_name")} == {
        name: raw[name] for name in ("sha256", "file_type", "file_name")
    }


def test_a_part_nobody_chose_a_file_for_is_no_second_file(desk: Desk) -> None:
    assert desk.form(part("letter.txt", CONTENT), part("", b""), part("", b"", "photo")).status_code == 201
    assert len(desk.world.files()) == 1
    desk.world.assert_settled()


def test_a_document_of_any_size_up_to_the_limit_comes_back_byte_for_byte(
    make_desk: Callable[..., Desk], extent: Extent
) -> None:
    many = extent.of(200, 40)
    usual = next(record_type for record_type in RECORD_TYPES if record_type.name == "visit").max_size
    desk, chance = make_desk(max_size_mb=usual / 1024**2), random.Random(20260512)
    sizes = [1, usual, *(round(math.exp(chance.uniform(0, math.log(usual)))) for _ in range(many - 2))]
    for number, size in enumerate(sizes):
        content = chance.randbytes(size // 2 + 1).hex().encode()[:size]
        answer = desk.send(content=content) if number % 2 else desk.form(part("letter.txt", content))
        assert answer.status_code == 201, (size, answer.text)
        sent, back = hashlib.sha256(content).hexdigest(), desk.download(answer)
        digest = base64.b64encode(hashlib.sha256(back.data).digest()).decode()
        assert (len(back.data), hashlib.sha256(back.data).hexdigest(), answer.get_json()["sha256"]) == (
            size,
            sent,
            sent,
        )
        assert (back.headers["ETag"], back.headers["Repr-Digest"]) == (f'"{sent}"', f"sha-256=:{digest}:")
    assert len(desk.world.files()) == many


def test_one_byte_over_the_limit_is_refused(desk: Desk) -> None:
    for answer in (desk.send(content=b"a" * (LIMIT + 1)), desk.form(part("letter.txt", b"a" * (LIMIT + 1)))):
        assert "0.25 MB" in problem(answer, 413, "too-large")["detail"]
    desk.assert_untouched()


# --- parts of documents -------------------------------------------------------------------------------------------

SIZE = len(CONTENT)


SATISFIABLE = (
    ("bytes=0-0", 0, 1),
    ("bytes=10-19", 10, 20),
    (f"bytes={SIZE - 1}-", SIZE - 1, SIZE),
    ("bytes=-7", SIZE - 7, SIZE),
    (f"bytes=5-{'9' * 4000}", 5, SIZE),
)


def test_one_range_is_that_range(desk: Desk) -> None:
    sent = desk.send()
    for asked, start, stop in SATISFIABLE:
        answer = desk.download(sent, Range=asked)
        assert (answer.status_code, answer.data) == (206, CONTENT[start:stop])
        assert answer.headers["Content-Range"] == f"bytes {start}-{stop - 1}/{SIZE}"
        assert answer.headers["Content-Length"] == str(stop - start)
        assert "Repr-Digest" in answer.headers  # of the whole document


IGNORED = (
    "bytes=0-1,5-6",
    "bytes=" + ",".join(["0-0"] * 2000),
    "bytes=9-2",
    "bytes=",
    "bytes=-",
    "bytes=x-y",
    "lines=0-1",
    f"bytes=0-{'9' * 5000}",
    f"bytes={'9' * 5000}-",
    "bytes=\u0661-\u0662".encode().decode("latin-1"),
    "\xff",
)


def test_several_ranges_and_any_that_cannot_be_read_get_the_whole(desk: Desk) -> None:
    sent = desk.send()
    for asked in IGNORED:
        answer = desk.download(sent, Range=asked)
        assert (answer.status_code, answer.data) == (200, CONTENT), asked
        assert "Content-Range" not in answer.headers


def test_a_range_is_of_the_version_the_asker_holds(desk: Desk) -> None:
    sent = desk.send()
    held = desk.download(sent).headers["ETag"]
    for version, status in ((held, 206), ('"other"', 200), (f"W/{held}", 200), ("Wed, 21 Oct 2037 07:28:00 GMT", 200)):
        assert desk.download(sent, Range="bytes=0-9", If_Range=version).status_code == status
    assert desk.download(sent, Range="bytes=0-9", If_None_Match=held).status_code == 304


# --- cut off ------------------------------------------------------------------------------------------------------


def test_a_form_cut_off_anywhere_stores_nothing(desk: Desk) -> None:
    body = said("description", "Said") + part("letter.txt", CONTENT) + end()
    for cut in [*range(1, len(body), 211), *range(len(body) - 12, len(body) - 4)]:
        answer = desk.by.form(desk.files, body[:cut])
        assert problem(answer, 422, "rejected"), cut
    desk.assert_untouched()


def test_a_body_shorter_than_announced_stores_nothing(desk: Desk) -> None:
    body = part("letter.txt", CONTENT) + end()
    for left in (1, 2, 10, len(body) // 2, len(body)):
        for content_type, headers in (
            ("multipart/form-data; boundary=b", {}),
            (RAW, {"Content-Disposition": disposition("a.txt")}),
        ):
            answer = desk.by.ask(
                "POST", desk.files, headers, data=body[: len(body) - left], content_type=content_type,
                environ_overrides={"CONTENT_LENGTH": str(len(body))},
            )  # fmt: skip
            assert answer.status_code == 400, (left, content_type, answer.text)
    desk.assert_untouched()


# --- names --------------------------------------------------------------------------------------------------------


def assert_round_trip(desk: Desk, answer: TestResponse) -> str:
    """The name that a strict reader takes from the download is the one that is told, and may be written anywhere."""
    told = str(answer.get_json()["file_name"])
    header = desk.download(answer).headers["Content-Disposition"]
    assert parsed(header) == told
    assert not re.search("[\x00-\x1f\x7f-\x9f]", header)
    assert not re.search("[\x00-\x1f\x7f-\x9f/\\\\\u202a-\u202e\u2066-\u2069]", told)
    assert unicodedata.is_normalized("NFC", told)
    assert 1 <= len(told) <= 255
    assert told.lower().endswith(".txt")
    return told


def test_a_name_in_either_form_is_one_name(desk: Desk) -> None:
    for name in ("Ärztebrief für Zoë.txt", "日本語の検査結果.txt", "한국어 검사.txt", "Ünïcödé é.txt"):
        whole, taken_apart = unicodedata.normalize("NFC", name), unicodedata.normalize("NFD", name)
        for written in (whole, taken_apart):
            for answer in (desk.send(written), desk.form(part(written, CONTENT))):
                assert assert_round_trip(desk, answer) == whole


# --- races and retries --------------------------------------------------------------------------------------------


def at_once(desk: Desk, count: int, content: Callable[[int], bytes], key: str | None = None) -> list[TestResponse]:
    answers: list[TestResponse] = []

    def send(number: int) -> None:
        by = Script(desk.world.app.test_client(), desk.by.headers)
        answers.append(by.upload(desk.files, "letter.txt", content(number), key))

    run_at_once([lambda number=number: send(number) for number in range(count)])  # type: ignore[misc]
    return answers


def test_many_uploads_race_for_three_places_and_three_get_them(make_desk: Callable[..., Desk]) -> None:
    desk = make_desk(max_files=3)
    answers = at_once(desk, 12, lambda number: b"racer %d" % number)
    assert Counter(answer.status_code for answer in answers) == {201: 3, 409: 9}
    assert len(desk.world.files()) == 3
    desk.world.assert_settled()


def test_fifty_tries_at_once_under_one_key_are_one_document(desk: Desk) -> None:
    answers = at_once(desk, 50, lambda _: CONTENT, key="one-upload")
    assert Counter(answer.status_code for answer in answers) == {201: 1, 200: 49}
    [file] = desk.world.files()
    assert {answer.get_json()["id"] for answer in answers} == {file.id}
    assert {answer.headers.get("Location") for answer in answers} == {f"{HOME}/files/{file.id}", None}
    desk.world.assert_settled()


def test_another_body_under_the_same_key_is_refused_however_it_comes(desk: Desk) -> None:
    assert desk.send(key="one-upload").status_code == 201
    for answer in (desk.send(content=b"other", key="one-upload"), desk.form(part("a.txt", b"other"), key="one-upload")):
        assert "Idempotency-Key" in problem(answer, 422, "rejected")["detail"]
    assert desk.form(part("letter.txt", CONTENT), key="one-upload").status_code == 200
    assert len(desk.world.files()) == 1
    desk.world.assert_settled()


def test_the_same_key_on_another_record_is_refused(desk: Desk) -> None:
    desk.send(key="one-upload")
    other = desk.world.record().id
    problem(desk.by.upload(f"/visit/{other}/files", "letter.txt", CONTENT, "one-upload"), 422, "rejected")


def test_the_key_of_somebody_else_is_another_key(desk: Desk) -> None:
    desk.send(key="one-upload")
    other = desk.world.record(email="otto@sample.example").id
    theirs = script(desk.world, "otto@sample.example")
    assert theirs.upload(f"/visit/{other}/files", "letter.txt", CONTENT, "one-upload").status_code == 201


def test_different_documents_race_under_one_key_and_one_is_stored(desk: Desk) -> None:
    answers = at_once(desk, 8, lambda number: b"racer %d" % number, key="one-upload")
    assert Counter(answer.status_code for answer in answers) == {201: 1, 422: 7}
    assert len(desk.world.files()) == 1
    desk.world.assert_settled()


def test_a_retry_to_a_record_that_is_full_by_now_finds_the_first_document(make_desk: Callable[..., Desk]) -> None:
    desk = make_desk(max_files=1)
    first: Any = desk.send(key="one-upload").get_json()
    assert desk.send(key="one-upload").get_json() == first
    problem(desk.send(key="another"), 409, "too-many")
