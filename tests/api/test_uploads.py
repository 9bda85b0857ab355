"""Uploads and downloads over JSON: whole or not at all, once however often they are tried, byte for byte."""

import base64
import hashlib
import io
import math
import random
import zipfile
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from werkzeug.test import TestResponse

from medfiles.record_types.declared import RECORD_TYPES
from medfiles.sandbox.pool import INSPECTION, Limits, Sandbox
from tests.support import samples
from tests.support.api_client import HOME, Script, end, part, problem, said, script
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


# --- parts of documents -------------------------------------------------------------------------------------------


# --- cut off ------------------------------------------------------------------------------------------------------


# --- names --------------------------------------------------------------------------------------------------------


# --- races and retries --------------------------------------------------------------------------------------------


def at_once(desk: Desk, count: int, content: Callable[[int], bytes], key: str | None = None) -> list[TestResponse]:
    answers: list[TestResponse] = []

    def send(number: int) -> None:
        by = Script(desk.world.app.test_client(), desk.by.headers)
        answers.append(by.upload(desk.files, "letter.txt", content(number), key))

    run_at_once([lambda number=number: send(number) for number in range(count)])  # type: ignore[misc]
    return answers


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
    assert problem(desk.by.upload(f"/visit/{other}/files", "letter.txt", CONTENT, "one-upload"), 422, "rejected")


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
    assert problem(desk.send(key="another"), 409, "too-many")


def test_a_file_with_a_wrong_name_is_renamed_and_the_answer_says_so(make_desk: Callable[..., Desk]) -> None:
    desk = make_desk()
    file = desk.send("1000012345", samples.jpeg()).get_json()
    names = {name: file[name] for name in ("file_name", "original_name", "renamed_from", "file_type")}
    assert names == {
        "file_name": "1000012345.jpg",
        "original_name": "1000012345",
        "renamed_from": "1000012345",
        "file_type": "image/jpeg",
    }
    assert desk.by.get(f"/files/{file['id']}").get_json() == file
    assert desk.by.get(f"/files/{file['id']}/download").data == samples.jpeg()


def test_a_file_with_the_right_name_keeps_it_and_its_original_name_outlives_a_rename(
    make_desk: Callable[..., Desk],
) -> None:
    desk = make_desk()
    file = desk.send("letter.txt").get_json()
    assert (file["original_name"], file["renamed_from"]) == ("letter.txt", None)
    renamed = desk.by.put(f"/files/{file['id']}/metadata", {"file_name": "Discharge.txt"}).get_json()
    assert (renamed["file_name"], renamed["original_name"]) == ("Discharge.txt", "letter.txt")


def test_the_original_name_is_as_sent_apart_from_what_harms(make_desk: Callable[..., Desk]) -> None:
    desk = make_desk()
    for sent, original in {"I0000042.": "I0000042.", "cd/IMAGES/scan\u202e ": "scan ", "CON": "CON"}.items():
        file = desk.send(sent, samples.jpeg()).get_json()
        assert (file["original_name"], file["renamed_from"]) == (original, original)


def test_a_repeated_upload_under_a_wrong_name_is_the_same_document(make_desk: Callable[..., Desk]) -> None:
    desk = make_desk()
    first, again = (desk.send("IMG_1.HEIC", samples.jpeg(), key="one") for _ in range(2))
    assert (first.status_code, again.status_code) == (201, 200)
    assert again.get_json() == first.get_json()


def test_an_upload_is_not_refused_because_no_worker_starts(
    make_desk: Callable[..., Desk], monkeypatch: pytest.MonkeyPatch
) -> None:
    desk, broken = make_desk(), Sandbox(1, INSPECTION, Limits(start=0.001))
    monkeypatch.setattr(desk.world.parts.sandbox, "run", broken.run)
    answer = desk.send(key="one")
    problem(answer, 503, "busy")
    assert int(answer.headers["Retry-After"]) > 0
    desk.assert_untouched()
    monkeypatch.undo()
    assert desk.send(key="one").status_code == 201


def test_a_repeated_query_parameter_with_another_value_is_refused(make_desk: Callable[..., Desk]) -> None:
    desk = make_desk()
    for query in ("sort=name&sort=size", "limit=1&limit=2", "unknown=1&unknown=2"):
        found = problem(desk.by.get(f"{desk.files}?{query}"), 422, "rejected")
        assert found["errors"][0]["field"] == query.partition("=")[0]
    assert desk.by.get(f"{desk.files}?sort=name&sort=name").status_code == 200


def test_repeated_ids_are_all_taken(make_desk: Callable[..., Desk]) -> None:
    desk = make_desk()
    ids = [desk.send(f"letter {number}.txt").get_json()["id"] for number in range(3)]
    answer = desk.by.get(f"/files/archive?ids={ids[0]}&ids={ids[1]},{ids[2]}")
    assert answer.status_code == 200
    assert len(zipfile.ZipFile(io.BytesIO(answer.data)).namelist()) == 3


def test_a_detail_sent_twice_with_different_values_is_refused(make_desk: Callable[..., Desk]) -> None:
    desk = make_desk()
    sent = part("letter.txt", CONTENT) + said("description", "One") + said("description", "Two")
    problem(desk.form(sent), 422, "rejected")
    desk.assert_untouched()
