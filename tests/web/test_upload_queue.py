"""What the upload queue of a page is answered: the new document's row, the figures around it, or a code and why."""

from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
from lxml import html
from sqlalchemy.exc import OperationalError
from werkzeug.test import TestResponse

from medfiles.database.session import db
from medfiles.record_types.declared import VISIT
from medfiles.storage import journal
from tests.support.factories import Browser, World, heard

VERA = "vera@sample.example"
MB = 1024 * 1024
NOON = datetime(2026, 5, 3, 12, tzinfo=UTC)
ASKED: tuple[tuple[str, dict[str, str]], ...] = (("plain.txt", {}), ("sorted.txt", {"category": "referral"}))
ABSENT = 1_999_999_999


@dataclass
class Queue:
    """One record, and the upload queue of somebody's page."""

    world: World
    browser: Browser
    record: Any

    def __post_init__(self) -> None:
        self.record_id: int = self.record.id

    def send(
        self, content: bytes = b"Letter", name: str = "letter.txt", key: str | None = None, **query: str
    ) -> TestResponse:
        return self.browser.upload(f"/documents/visit/{self.record_id}/files", name, content, key, **query)

    def changed(self, count: int) -> dict[str, Any]:
        return {"documents:changed": {"type": "visit", "id": self.record_id, "count": count}}


@pytest.fixture
def queue(world: World) -> Queue:
    return Queue(world, world.browser(), world.record())


@pytest.fixture
def small(make_world: Callable[..., World], tmp_path: Path) -> Queue:
    """Visits take one document of up to one megabyte here."""
    limits = tmp_path / "limits.toml"
    limits.write_text("[visit]\nmax_size_mb = 1\nmax_files = 1\n")
    world = make_world(ENTITIES=str(limits))
    return Queue(world, world.browser(), world.record())


def page_of(answer: TestResponse) -> Any:
    return html.document_fromstring(f"<table>{answer.text}</table>")


def notice(answer: TestResponse) -> str:
    """What stands below the new row."""
    return " ".join("".join(page_of(answer).xpath("//tr[@class='mf-twin']//p//text()")).split())


def refusal(answer: TestResponse) -> tuple[int, str, dict[str, Any]]:
    """Status, code, and whatever else the page hears of; what people are told stands in the answer as well."""
    events = heard(answer)
    error = events.pop("documents:error")
    assert html.document_fromstring(f"<p>{error['message']}</p>").text_content().strip()
    return answer.status_code, error["code"], events


# --- what was stored ----------------------------------------------------------------------------------------------


def test_a_new_document_is_answered_by_its_row(queue: Queue) -> None:
    queue.send(b"Other", "other.txt")
    answer = queue.send(category="referral", description="From the front desk")
    file = queue.world.files()[-1]
    page = page_of(answer)
    assert answer.status_code == 201
    assert page.xpath("//tbody/@id") == [f"mf-manager-visit-{queue.record_id}-doc-{file.id}"]
    assert page.xpath("//tbody[@data-mf-new]/@data-mf-row") == [str(file.id)]
    assert [name.text_content() for name in page.xpath("//span[@class='mf-file-name']")] == ["letter.txt"]
    assert page.xpath("//span[@class='mf-file-about']/span/text()") == ["Referral", "From the front desk"]


def test_a_row_asks_for_its_category_unless_it_has_one(queue: Queue) -> None:
    plain, sorted_in = (page_of(queue.send(name.encode(), name, **values)) for name, values in ASKED)
    assert plain.xpath("//tr[@data-mf-asking]//input[@name='category']/@value") == [*VISIT.categories]
    assert len(plain.xpath("//tr[@data-mf-asking]//input[@name='description']")) == 1
    assert sorted_in.xpath("//tr[@data-mf-asking]") == []


def test_the_figures_around_it_come_along(queue: Queue) -> None:
    answer = queue.send()
    ids = page_of(answer).xpath("//*[@hx-swap-oob='true']/@id")
    assert ids == [f"mf-manager-visit-{queue.record_id}-{part}" for part in ("head", "room")]
    assert "1 of 8" in page_of(answer).text_content()
    assert "<html" not in answer.text


def test_the_page_is_told_how_many_documents_there_are(queue: Queue) -> None:
    assert heard(queue.send()) == queue.changed(1)
    assert heard(queue.send(b"Other")) == queue.changed(2)


def test_the_last_place_is_said_to_be_taken(small: Queue) -> None:
    answer = small.send()
    assert page_of(answer).xpath("//*[@data-mf-room]/@data-mf-free") == ["0"]
    assert "is full (1 of 1)" in answer.text


def test_a_retry_is_answered_by_the_row_of_the_first_try(queue: Queue) -> None:
    answers = [queue.send(key="one-try") for _ in range(2)]
    assert [answer.status_code for answer in answers] == [201, 200]
    assert [page_of(answer).xpath("//tbody/@data-mf-row") for answer in answers] == [
        [str(file.id)] for file in queue.world.files() * 2
    ]
    assert [heard(answer) for answer in answers] == [queue.changed(1)] * 2
    assert notice(answers[1]) == ""
    queue.world.assert_settled()


# --- the same file twice ------------------------------------------------------------------------------------------


def test_the_same_file_is_added_and_told_of_with_its_day_and_name(queue: Queue) -> None:
    queue.world.store(queue.record, "From the clinic.txt", uploaded_at=NOON)
    answer = queue.send(b"Letter 0", "letter.txt")
    assert answer.status_code == 201
    assert notice(answer) == "You already added this file on 3 May 2026 as “From the clinic.txt”."
    assert page_of(answer).xpath("//tr[@class='mf-twin']//time/@datetime")[0].startswith("2026-05-03T12:00")
    assert len(queue.world.files()) == 2


def test_a_copy_of_the_same_name_is_not_named_again(queue: Queue) -> None:
    queue.world.store(queue.record, "letter.txt", uploaded_at=NOON)
    assert notice(queue.send(b"Letter 0")) == "You already added this file on 3 May 2026."


def test_a_copy_can_be_skipped_from_its_row(queue: Queue) -> None:
    queue.send()
    [skip] = page_of(queue.send()).xpath("//tr[@class='mf-twin']//button/@hx-post")
    assert queue.browser.post(skip, within="manager").status_code == 200
    assert [bool(file.deleted_at) for file in queue.world.files()] == [False, True]


def test_the_same_bytes_elsewhere_are_no_copy(queue: Queue) -> None:
    world, patient = queue.world, queue.world.records().patient(queue.record.patient_id).patient
    world.store(world.record(patient=patient), "Other visit.txt")
    world.store(world.record("procedure", patient=patient), "Procedure.txt")
    world.store(world.record(patient=world.patient(VERA), email=VERA), "Secret.txt")
    [trashed] = world.store(queue.record, "Trashed.txt")
    world.documents().trash(trashed)
    assert notice(queue.send(b"Letter 0")) == ""


# --- what was refused ---------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("content", "name", "query", "status", "code"),
    [
        (b"MZ", "a.exe", {}, 415, "type-not-allowed"),
        (b"", "a.txt", {}, 422, "empty-file"),
        (b"Letter", "a.txt", {"category": "x-ray"}, 422, "rejected"),
    ],
)
def test_what_does_not_belong_is_known_by_its_code(
    queue: Queue, content: bytes, name: str, query: dict[str, str], status: int, code: str
) -> None:
    assert refusal(queue.send(content, name, **query)) == (status, code, {})
    assert queue.world.files() == []
    queue.world.assert_settled()


def test_a_page_that_was_open_too_long_and_a_session_that_ended_are_known_by_their_codes(queue: Queue) -> None:
    queue.browser.token = "made-up"
    assert refusal(queue.send()) == (403, "csrf", {})
    queue.browser.client = queue.world.client(None)
    assert refusal(queue.send()) == (401, "signed-out", {})


def test_more_than_a_document_may_have_is_known_by_its_code(small: Queue) -> None:
    assert refusal(small.send(b"a" * (MB + 1))) == (413, "too-large", {})
    small.world.assert_settled()


def test_a_store_that_fails_is_told_apart_from_what_was_sent(queue: Queue, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(*_: Any) -> None:
        raise OSError(28, "No space left on device")

    with monkeypatch.context() as patch:
        patch.setattr("medfiles.storage.disk.os.link", full)
        answer = queue.send(key="one-try")
    assert (refusal(answer), answer.headers["Retry-After"]) == ((503, "storage", {}), "5")
    assert "No space" not in answer.text
    assert queue.send(key="one-try").status_code == 201
    assert len(queue.world.files()) == 1
    queue.world.assert_sound()


def test_a_database_that_fails_is_told_apart_from_what_was_sent(queue: Queue, monkeypatch: pytest.MonkeyPatch) -> None:
    def gone(*_: Any) -> None:
        raise OperationalError("DELETE", {}, Exception("gone"))

    with monkeypatch.context() as patch:
        patch.setattr(journal, "settle", gone)
        answer = queue.send(key="one-try")
    assert (refusal(answer), answer.headers["Retry-After"]) == ((503, "database", {}), "5")
    assert queue.send(key="one-try").status_code == 201
    db.session.rollback()
    queue.world.assert_sound()


def test_a_refusal_stands_beside_what_it_is_about(queue: Queue) -> None:
    answer = queue.send(b"MZ", "a.exe")
    assert answer.headers["HX-Reswap"] == "afterbegin"
    assert "HX-Retarget" not in answer.headers
    assert heard(answer)["documents:error"]["message"] in html.fromstring(answer.text).text_content()
