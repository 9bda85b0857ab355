"""Lists over HTTP: searched, filtered, sorted and in pages; a document's form in its row or in a page."""

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

import pytest
from lxml import html
from werkzeug.test import TestResponse

from tests.support.factories import Browser, World, heard

NORA, VERA = "nora@sample.example", "vera@sample.example"
NOON = datetime(2026, 5, 3, 12, tzinfo=UTC)
LATE_EVENING = datetime(2026, 5, 1, 22, 30, tzinfo=UTC)  # in Berlin it is the second of May already
ABSENT = 1_999_999_999
MANY, ROWS = 120, 50
LETTER, SCAN, TABLE = "Letter 10.pdf", "letter 9.jpg", "Übersicht.csv"
QUERIES: list[tuple[dict[str, str], list[str]]] = [  # what each means is tested in tests/documents/test_listing.py
    ({}, [LETTER, SCAN, TABLE]),
    ({"q": "sample LETTER"}, [LETTER]),
    ({"category": "none"}, [TABLE]),
    ({"media": "image"}, [SCAN]),
    ({"from": "2026-05-02", "to": "2026-05-02", "zone": "Europe/Berlin"}, [SCAN]),
    ({"q": "letter", "sort": "name", "order": "desc"}, [LETTER, SCAN]),
    ({"q": "nothing like it"}, []),
]
WRONG = {"q": "x" * 201, "category": "card", "from": "soon", "sort": "colour", "cursor": "made-up"}


@dataclass
class Shelf:
    """One record with documents on it, and the browser of somebody who looks at them."""

    world: World
    browser: Browser
    record: Any

    def __post_init__(self) -> None:
        self.record_id: int = self.record.id
        self.path = f"/documents/visit/{self.record_id}"

    def put(self, *names: str, **columns: Any) -> list[int]:
        return self.world.store(self.record, *names, **columns)

    def put_three(self) -> None:
        self.put(LETTER, file_type="application/pdf", category="referral", uploaded_at=NOON, description="Dr. Sample")
        self.put(SCAN, file_type="image/jpeg", category="summary", uploaded_at=LATE_EVENING)
        self.put(TABLE, file_type="text/csv", uploaded_at=datetime(2026, 4, 1, tzinfo=UTC))

    def names(self, **query: str) -> list[str]:
        return names_in(self.browser.get(f"{self.path}/list", **query))

    def seen_by(self, email: str, *, htmx: bool = True) -> "Shelf":
        """The same record in the browser of somebody who may look at it and no more."""
        self.world.share(self.world.records().patient(self.record.patient_id).patient, email)
        return Shelf(self.world, self.world.browser(email, htmx=htmx), self.record)


@pytest.fixture
def shelf(world: World) -> Shelf:
    return Shelf(world, world.browser(), world.record())


@pytest.fixture
def plain(world: World) -> Shelf:
    """Without script."""
    return Shelf(world, world.browser(htmx=False), world.record())


@pytest.fixture
def long_shelf(shelf: Shelf) -> Shelf:
    """With so many documents on it that they take three pages."""
    shelf.put(*(f"Letter {number}.txt" for number in range(MANY)))
    return shelf


def page_of(answer: TestResponse) -> Any:
    assert answer.status_code == 200
    return html.document_fromstring(answer.text)


def names_in(answer: TestResponse) -> list[str]:
    return [name.text_content() for name in page_of(answer).xpath("//tr//*[@class='mf-file-name']")]


def rows_in(answer: TestResponse) -> list[int]:
    return [int(number) for number in page_of(answer).xpath("//tbody/@data-mf-row")]


def forms_in(answer: TestResponse) -> list[str]:
    """What the documents are called whose forms are open."""
    found: list[str] = page_of(answer).xpath("//form[@class='mf-edit']//input[@name='file_name']/@value")
    return found


# --- which ones, in which order -----------------------------------------------------------------------------------


def test_a_list_and_a_page_show_what_their_address_asks_for(shelf: Shelf) -> None:
    shelf.put_three()
    plain = shelf.world.browser(htmx=False)
    for query, names in QUERIES:
        assert (query, shelf.names(**query), names_in(plain.get(shelf.path, **query))) == (query, names, names)


def test_the_trash_is_searched_and_sorted_as_the_list_is(shelf: Shelf) -> None:
    for file_id in shelf.put("b.txt", "a.txt", "other.md"):
        shelf.world.documents().trash(file_id)
    assert names_in(shelf.browser.get(f"{shelf.path}/trash", sort="name", q="txt")) == ["a.txt", "b.txt"]
    assert shelf.names() == []


@pytest.mark.parametrize("htmx", [True, False], ids=["htmx", "page"])
def test_a_parameter_that_cannot_be_used_is_refused_by_its_name(world: World, htmx: bool) -> None:
    shelf = Shelf(world, world.browser(htmx=htmx), world.record())
    for name, value in WRONG.items():
        for part in ("", "/list", "/trash"):
            answer = shelf.browser.get(shelf.path + part, **{name: value})
            assert (answer.status_code, f"“{name}”" in answer.text) == (422, True), (part, name)
            assert heard(answer).get("documents:error", {}).get("code") == ("rejected" if htmx else None)


REAL = {"file_type": "application/pdf", "pages": 3, "category": "referral", "uploaded_at": NOON,
        "description": "Dr. Sample, second opinion on the left knee"}  # fmt: skip


@pytest.mark.parametrize("query", [{}, {"q": "clinic"}])
def test_a_row_is_small(shelf: Shelf, query: dict[str, str]) -> None:
    shelf.put("Letter from the orthopaedics clinic about the left knee.pdf", **REAL)
    [row] = page_of(shelf.browser.get(f"{shelf.path}/list", **query)).xpath("//tbody[@data-mf-row]")
    assert len(list(row.iter())) <= 25
    assert len(html.tostring(row, encoding="utf-8", with_tail=False)) <= 1536


def test_menus_and_icons_are_not_repeated_in_rows(shelf: Shelf) -> None:
    shelf.put("a.pdf", "b.pdf", **REAL)
    page = page_of(shelf.browser.get(shelf.path))
    assert page.xpath("//tbody[@data-mf-row]//svg | //tbody[@data-mf-row]//form | //tbody[@data-mf-row]//ul") == []
    assert len(page.xpath("//template[@data-mf-menu-of]")) == 1
    assert page.xpath("//*[@data-mf-can]/@data-mf-can") == ["open", "download", "edit", "edit", "edit", "delete"]
    reader = page_of(shelf.seen_by(VERA).browser.get(shelf.path))
    assert reader.xpath("//*[@data-mf-can]/@data-mf-can") == ["open", "download"]


@pytest.mark.parametrize(("cookie", "layout"), [("grid", "grid"), ("list", "list"), ("wall", "list")])
def test_the_layout_is_remembered_in_a_cookie(shelf: Shelf, cookie: str, layout: str) -> None:
    shelf.put("a.txt")
    shelf.browser.client.set_cookie("mf-layout", cookie)
    page = page_of(shelf.browser.get(shelf.path))
    assert page.xpath("//*[@data-mf-body]/@data-mf-layout") == [layout]
    assert page.xpath("//*[@data-mf-layout-as][@aria-pressed='true']/@data-mf-layout-as") == [layout]


# --- in pages -----------------------------------------------------------------------------------------------------


def scrolled(shelf: Shelf, path: str) -> Iterator[TestResponse]:
    """As a reader scrolls: each page is asked for as the one before says."""
    while path:
        yield (answer := shelf.browser.get(path))
        path = next(iter(page_of(answer).xpath("//tbody[@class='mf-next-rows']/@hx-get")), "")


def test_every_document_is_shown_once_and_further_rows_come_without_the_list_around_them(long_shelf: Shelf) -> None:
    ids = [file.id for file in long_shelf.world.files()]
    first, *others = scrolled(long_shelf, f"{long_shelf.path}?q=letter&sort=type&order=desc")
    pages = [rows_in(answer) for answer in (first, *others)]
    assert [len(rows) for rows in pages] == [ROWS, ROWS, MANY - 2 * ROWS]
    assert sorted(sum(pages, [])) == ids
    assert "mf-filter" in first.text
    assert not any(word in others[0].text for word in ("mf-filter", "<table", "mf-bulk-words", "-head"))


def test_without_script_a_link_leads_from_page_to_page(long_shelf: Shelf) -> None:
    reader = Shelf(long_shelf.world, long_shelf.world.browser(htmx=False), long_shelf.record)
    seen, path = [], f"{reader.path}?sort=name"
    while path:
        page = page_of(reader.browser.get(path))
        seen.append([name.text_content() for name in page.xpath("//tr//*[@class='mf-file-name']")])
        path = next(iter(page.xpath("//a[@data-mf-more]/@href")), "")
    assert [len(names) for names in seen] == [ROWS, ROWS, MANY - 2 * ROWS]
    assert sum(seen, []) == [f"Letter {number}.txt" for number in range(MANY)]


# --- the form of one document -------------------------------------------------------------------------------------


def test_without_script_the_form_of_a_document_opens_in_the_page(plain: Shelf) -> None:
    first, _ = plain.put("a.txt", "b.txt", description="Old")
    answer = plain.browser.get(plain.path, edit=first)
    assert (forms_in(answer), names_in(answer)) == (["a.txt"], ["b.txt"])
    assert page_of(answer).xpath("//textarea[@name='description']/text()") == ["Old"]


def test_the_form_of_a_document_on_a_further_page_opens_above_the_others(long_shelf: Shelf) -> None:
    reader = Shelf(long_shelf.world, long_shelf.world.browser(htmx=False), long_shelf.record)
    oldest = long_shelf.world.files()[0].id
    answer = reader.browser.get(reader.path, edit=oldest)
    assert forms_in(answer) == ["Letter 0.txt"]
    assert (rows_in(answer)[0], len(rows_in(answer))) == (oldest, ROWS + 1)


def elsewhere(world: World, patient: Any) -> dict[str, int]:
    """Documents that are not of the first visit, though some are of a record of its number."""
    other, procedure = world.record(patient=patient), world.record("procedure", patient=patient)
    trashed = world.store(world.records().get(world.kind(), 1), "Trashed.txt")
    world.documents().trash(trashed[0])
    return {
        "another record": world.store(other, "Other.txt")[0],
        "another kind": world.store(procedure, "Other.txt")[0],
        "the trash": trashed[0],
    }


def test_without_script_no_form_opens_for_a_document_that_is_not_in_the_list(world: World) -> None:
    patient = world.patient()
    record = world.record(patient=patient)
    others = elsewhere(world, patient)
    assert record.id == world.records().get(world.kind("procedure"), record.id).id  # two records of one number
    shelf = Shelf(world, world.browser(htmx=False), record)
    shelf.put("a.txt")
    for file_id in others.values():
        answer = shelf.browser.get(shelf.path, edit=file_id)
        assert (forms_in(answer), names_in(answer)) == ([], ["a.txt"])
    for number in (ABSENT, 2**63, 10**30):
        assert shelf.browser.get(f"{shelf.path}/list", edit=number).status_code == 404


@pytest.mark.parametrize("state", ["edit", "row"])
def test_a_row_is_answered_for_documents_of_its_record_only(world: World, state: str) -> None:
    patient = world.patient()
    shelf = Shelf(world, world.browser(), world.record(patient=patient))
    [own], others = shelf.put("a.txt"), elsewhere(world, patient)
    theirs = world.store(world.record(patient=world.patient(VERA), email=VERA), "Secret.txt")
    answer = shelf.browser.get(f"{shelf.path}/list", **{state: own})
    assert rows_in(answer) == [own]
    assert forms_in(answer) == (["a.txt"] if state == "edit" else [])
    for file_id in (others["another record"], others["another kind"], *theirs, "x", ""):
        answer = shelf.browser.get(f"{shelf.path}/list", **{state: file_id})
        assert (answer.status_code, heard(answer)["documents:error"]["code"]) == (404, "not-found")


# --- who may only look --------------------------------------------------------------------------------------------


def test_a_reader_opens_no_form(shelf: Shelf) -> None:
    [file_id] = shelf.put("a.txt")
    reader = shelf.seen_by(VERA)
    answer = reader.browser.get(f"{reader.path}/list", edit=file_id)
    assert (answer.status_code, heard(answer)["documents:error"]["code"]) == (403, "forbidden")
    assert rows_in(reader.browser.get(f"{reader.path}/list", row=file_id)) == [file_id]


def test_without_script_a_reader_sees_the_row_instead_of_the_form(plain: Shelf) -> None:
    [file_id] = plain.put("a.txt")
    answer = (reader := plain.seen_by(VERA, htmx=False)).browser.get(plain.path, edit=file_id)
    assert (forms_in(answer), names_in(answer)) == ([], ["a.txt"])
    assert reader.browser.get(plain.path, mode="edit").status_code == 403


def test_a_reader_sees_the_documents_in_a_form_without_any_control(shelf: Shelf) -> None:
    shelf.put("a.txt")
    mine = page_of(shelf.browser.get(shelf.path, mode="edit"))
    assert mine.xpath("//input[@name='remove']")
    reader = shelf.seen_by(VERA)
    answer = reader.browser.get(shelf.path, mode="edit")
    page = page_of(answer)
    assert names_in(answer) == ["a.txt"]
    assert page.xpath("//*[@data-mf-mode]/@data-mf-mode") == ["view"]
    assert page.xpath("//input[@name='remove'] | //*[@data-mf-zone] | //button[@formaction]") == []
    assert page.xpath("//button[@name='action']/@value") == ["download", "print"]


def test_an_empty_list_suggests_adding_only_where_one_can_add(shelf: Shelf) -> None:
    alone, whole = shelf.browser.get(f"{shelf.path}/list"), shelf.browser.get(shelf.path)
    assert "Add a letter" not in alone.text
    assert "No documents have been added" in alone.text
    assert "Add a letter" in whole.text


def test_a_mode_that_is_none_is_refused(shelf: Shelf) -> None:
    for mode in ("create", ""):
        for part in ("", "/list", "/upload-zone"):
            answer = shelf.browser.get(shelf.path + part, mode=mode)
            assert (answer.status_code, "mode must be view or edit." in answer.text) == (422, True)
