"""Many documents at once over HTTP: what each action does, what it leaves alone, and what is said about both."""

import io
import zipfile
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

import lxml.html
import pytest
from werkzeug.test import TestResponse

from tests.support import samples
from tests.support.factories import Browser, World, heard, words

VERA = "vera@sample.example"
ABSENT = 1_999_999_999
NOON = datetime(2026, 5, 3, 12, tzinfo=UTC)
LATE_EVENING = datetime(2026, 5, 1, 22, 30, tzinfo=UTC)  # in Berlin it is the second of May already
NOT_FOUND = "does not exist, or you do not have access to it"


@dataclass
class Desk:
    """One record with documents on it, and the browser of somebody who does things with several of them."""

    world: World
    browser: Browser
    record: Any

    @property
    def documents(self) -> str:
        return f"/documents/visit/{self.record_id}"

    def __post_init__(self) -> None:
        self.record_id: int = self.record.id

    def put(self, *names: str, **columns: Any) -> list[int]:
        return self.world.store(self.record, *names, **columns)

    def ask(self, action: str, *ids: int, **fields: str) -> TestResponse:
        fields |= {"file_ids": ",".join(str(number) for number in ids)} if ids else {}
        return self.browser.post(f"{self.documents}/bulk", action=action, within="manager", **fields)

    def trash(self, *ids: int) -> None:
        for file_id in ids:
            self.world.documents().trash(file_id)

    def names(self, *, trashed: bool = False) -> list[str]:
        return [file.file_name for file in self.world.files() if (file.deleted_at is not None) == trashed]

    def changed(self, count: int) -> dict[str, Any]:
        return {"documents:changed": {"type": "visit", "id": self.record_id, "count": count}}

    def flashes(self, answer: TestResponse) -> str:
        """What the page says on which the form ends; it is reached by 303, so that nothing is sent twice."""
        assert answer.status_code == 303
        return self.browser.get(answer.location).text


@pytest.fixture
def desk(world: World) -> Desk:
    return Desk(world, world.browser(), world.record())


def unzipped(answer: TestResponse) -> dict[str, bytes]:
    assert (answer.status_code, answer.mimetype) == (200, "application/zip")
    assert len(answer.data) == answer.content_length
    with zipfile.ZipFile(io.BytesIO(answer.data)) as zipped:
        assert zipped.testzip() is None
        return {name: zipped.read(name) for name in zipped.namelist()}


# --- each action in the widget ------------------------------------------------------------------------------------


def test_what_was_chosen_goes_to_the_trash_and_one_press_brings_it_back(desk: Desk) -> None:
    first, second, third = desk.put("a.txt", "b.txt", "c.txt")
    answer = desk.ask("delete", first, third)
    assert answer.status_code == 200
    assert "2 documents moved to trash." in answer.text
    assert lxml.html.fromstring(answer.text).xpath("//input[@name='file_ids']/@value")[0] == f"{first},{third}"
    assert heard(answer) == desk.changed(1)
    assert (desk.names(), desk.names(trashed=True)) == (["b.txt"], ["a.txt", "c.txt"])
    back = desk.ask("restore", first, third)
    assert "2 documents restored." in back.text
    assert heard(back) == desk.changed(3)
    assert desk.names() == ["a.txt", "b.txt", "c.txt"]
    desk.world.assert_settled()


def test_the_answer_is_the_list_with_the_figures_around_it(desk: Desk) -> None:
    first, second = desk.put("a.txt", "b.txt")
    answer = desk.ask("delete", first)
    for part in ("body", "head", "room"):
        assert f'id="mf-manager-visit-{desk.record_id}-{part}"' in answer.text
    assert "1 of 8" in words(answer)
    assert f'data-mf-row="{second}"' in answer.text
    assert f'data-mf-row="{first}"' not in answer.text
    assert "<html" not in answer.text


def test_a_list_that_stands_alone_is_answered_alone(desk: Desk) -> None:
    [file_id] = desk.put("a.txt")
    answer = desk.browser.post(f"{desk.documents}/bulk", action="category", category="referral", file_ids=file_id)
    assert f'id="mf-list-visit-{desk.record_id}-body"' in answer.text
    assert "hx-swap-oob" not in answer.text


def test_in_the_trash_the_answer_is_the_trash(desk: Desk) -> None:
    first, second, third = desk.put("a.txt", "b.txt", "c.txt")
    desk.trash(first, second, third)
    answer = desk.ask("restore", first, view="trash")
    assert 'data-mf-view="trash"' in answer.text
    assert f'data-mf-row="{second}"' in answer.text
    purged = desk.ask("purge", second, view="trash")
    assert (heard(purged), "1 document deleted permanently." in purged.text) == (desk.changed(1), True)
    assert (desk.names(), desk.names(trashed=True)) == (["a.txt"], ["c.txt"])


def test_a_category_is_given_and_an_unknown_one_rejected(desk: Desk) -> None:
    ids = desk.put("a.txt", "b.txt", category="summary")
    assert "Category saved for 2 documents." in desk.ask("category", *ids, category="referral").text
    for fields, said in (({}, "Select a category first."), ({"category": "nonsense"}, "does not exist here")):
        answer = desk.ask("category", *ids, **fields)
        assert (answer.status_code, said in answer.text) == (422, True)
    assert [file.category for file in desk.world.files()] == ["referral"] * 2


# --- which ones ---------------------------------------------------------------------------------------------------


def test_all_that_match_are_meant_whatever_was_ticked(desk: Desk) -> None:
    ids = desk.put(*(f"scan {number}.txt" for number in range(60)), category="referral")
    desk.put("scan 99.txt", "letter.txt", category="summary")
    answer = desk.ask("delete", ids[0], all="1", q="scan", in_category="referral")
    assert "60 documents moved to trash." in answer.text
    assert desk.names() == ["scan 99.txt", "letter.txt"]


def test_the_new_category_is_not_taken_for_the_filter(desk: Desk) -> None:
    desk.put("a.txt", "b.txt", category="summary")
    desk.put("c.txt", category="referral")
    answer = desk.ask("category", all="1", category="correspondence", in_category="summary")
    assert answer.status_code == 200
    assert [file.category for file in desk.world.files()] == ["correspondence", "correspondence", "referral"]


def test_all_means_what_the_filters_of_the_list_match(desk: Desk) -> None:
    desk.put("a.pdf", file_type="application/pdf", category="summary", uploaded_at=NOON)
    desk.put("b.txt", uploaded_at=NOON)
    desk.put("c.txt", category="summary", uploaded_at=LATE_EVENING)
    for filters, left in (
        ({"media": "pdf", "q": "a"}, ["b.txt", "c.txt"]),
        ({"in_category": "none"}, ["c.txt"]),
        ({"from": "2026-05-02", "to": "2026-05-02", "zone": "Europe/Berlin"}, []),
    ):
        assert desk.ask("delete", all="1", **filters).status_code == 200
        assert desk.names() == left


def test_the_list_stays_as_it_was_searched_and_sorted(desk: Desk) -> None:
    first, *_ = desk.put("scan 1.txt", "scan 2.txt", "letter.txt")
    answer = desk.ask("delete", first, q="scan", sort="name")
    assert "1 document found." in answer.text
    assert "letter.txt" not in answer.text


def test_ids_come_as_fields_or_in_one(desk: Desk) -> None:
    ids = desk.put("a.txt", "b.txt", "c.txt")
    answer = desk.browser.post(f"{desk.documents}/bulk", action="delete", file_ids=[f"{ids[0]},{ids[1]}", str(ids[2])])
    assert answer.status_code == 200
    assert desk.names() == []


def test_nothing_selected_is_nothing_to_do(desk: Desk) -> None:
    desk.put("a.txt")
    for action in ("delete", "restore", "purge", "category", "download"):
        for fields in ({}, {"file_ids": ",,"}, {"all": "1", "q": "nothing like it"}):
            answer = desk.ask(action, **{"category": "", **fields})
            assert (answer.status_code, "Select one or more documents first." in answer.text) == (422, True)
            assert heard(answer)["documents:error"]["code"] == "rejected"
    assert desk.names() == ["a.txt"]


def test_unknown_actions_ids_and_filters_are_rejected_before_anything_is_done(desk: Desk) -> None:
    ids = desk.put("a.txt")
    for wrong in ({"sort": "colour"}, {"from": "soon"}, {"in_category": "x"}):
        assert desk.ask("delete", *ids, **wrong).status_code == 422
        assert desk.ask("delete", all="1", **wrong).status_code == 422
    for action in ("", "copy", "delete,restore"):
        assert desk.ask(action, *ids).status_code == 422
    assert desk.browser.post(f"{desk.documents}/bulk", action="delete", file_ids=f"{ids[0]},x").status_code == 422
    assert desk.names() == ["a.txt"]


# --- what does not work out ---------------------------------------------------------------------------------------


def test_what_was_refused_is_named_and_the_rest_is_done(desk: Desk) -> None:
    first, second, third = desk.put("a.txt", "b.txt", "c.txt")
    desk.trash(second)
    answer = desk.ask("delete", first, second, third)
    assert answer.status_code == 200
    assert "2 documents moved to trash." in answer.text
    assert "<strong>b.txt</strong> was not moved to trash. This document is already in the trash." in answer.text
    assert heard(answer) == desk.changed(0) | {
        "documents:error": {"message": "b.txt: This document is already in the trash.", "code": "conflict"}
    }


def test_what_is_not_of_this_record_says_nothing_about_itself(desk: Desk) -> None:
    theirs = desk.world.record(patient=desk.world.patient(VERA), email=VERA)
    [foreign], [own] = desk.world.store(theirs, "Secret.txt"), desk.put("a.txt")
    answers = [desk.ask("delete", number) for number in (foreign, ABSENT)]
    assert [answer.status_code for answer in answers] == [404, 404]
    assert all(NOT_FOUND in answer.text and "Secret" not in answer.text for answer in answers)
    mixed = desk.ask("delete", own, foreign)
    assert (mixed.status_code, "Secret" in mixed.text) == (200, False)
    assert desk.names() == ["Secret.txt"]


def test_many_refusals_fit_into_a_header_and_a_page(desk: Desk) -> None:
    ids = desk.put(*(f"{'Röntgenbild ' * 8}{number}.txt" for number in range(60)), deleted_at=NOON)
    desk.world.store(desk.record, *(f"{number}.txt" for number in range(8)))
    answer = desk.ask("restore", *ids, view="trash")
    assert answer.status_code == 409
    assert len(answer.headers["HX-Trigger"]) < 3000
    assert heard(answer)["documents:error"]["message"].endswith("And 57 more.")
    assert "40 more documents failed." in answer.text


def test_no_more_than_a_thousand_documents_are_chosen_one_by_one(desk: Desk) -> None:
    answer = desk.ask("delete", *range(1, 1002))
    assert (answer.status_code, "Select up to 1,000 documents at once" in answer.text) == (422, True)


def test_numbers_of_foreign_documents_do_not_flood_the_activity_of_their_patient(desk: Desk) -> None:
    theirs = desk.world.record(patient=desk.world.patient(VERA), email=VERA)
    desk.ask("delete", *desk.world.store(theirs, *(f"{number}.txt" for number in range(30))))
    assert len(desk.world.events(action="delete", patient_id=theirs.patient_id)) == 1


# --- without script -----------------------------------------------------------------------------------------------


def test_without_script_one_is_led_back_and_told(world: World) -> None:
    plain = Desk(world, world.browser(htmx=False), world.record())
    first, second, third = plain.put("a.txt", "b.txt", "c.txt")
    plain.trash(second)
    answer = plain.ask("delete", first, second)
    assert answer.location == plain.documents
    page = plain.flashes(answer)
    assert "1 document moved to trash." in page
    assert "b.txt was not moved to trash. This document is already in the trash." in page
    answer = plain.ask("purge", first, view="trash")
    assert answer.location == f"{plain.documents}/trash"
    assert "1 document deleted permanently." in plain.flashes(answer)
    assert plain.names() == ["c.txt"]


# --- ZIP ----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("htmx", [True, False], ids=["fragment", "page"])
def test_the_archive_holds_each_document_byte_for_byte_under_its_own_name(world: World, htmx: bool) -> None:
    desk = Desk(world, world.browser(htmx=htmx), world.record(reason="Sore knee / März"))
    contents = {"Letter.pdf": samples.pdf(), "Befund März 🩻.txt": samples.txt()}
    answer = desk.ask("download", *(world.attach(desk.record, name, data).id for name, data in contents.items()))
    assert unzipped(answer) == contents
    assert answer.headers["Content-Disposition"].startswith("attachment; filename=")
    assert "filename*=UTF-8''Sore%20knee" in answer.headers["Content-Disposition"]


def test_many_documents_are_opened_by_few_statements(desk: Desk, statements: Callable[[], list[str]]) -> None:
    desk.put(*(f"{number}.txt" for number in range(60)))
    executed = statements()
    assert len(unzipped(desk.ask("download", all="1"))) == 60
    assert len([said for said in executed if said.startswith("SELECT")]) < 30
