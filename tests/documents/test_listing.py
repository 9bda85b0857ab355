"""One record's documents, searched, filtered, sorted and in pages: each is listed once, wherever a page ends."""

import base64
import itertools
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import UTC, date, datetime, timedelta
from typing import Any
from zoneinfo import ZoneInfo

import pytest
from flask_migrate import downgrade, upgrade
from hypothesis import given, settings
from hypothesis import strategies as st
from sqlalchemy import String, event, func, inspect, select, text

from medfiles.database.session import db
from medfiles.documents.listing import SORTS, ListQuery, Page, matching, of_record, page
from medfiles.errors import Rejected
from medfiles.http.parameters import list_query
from medfiles.models import EntityFile
from medfiles.record_types.declared import VISIT
from medfiles.record_types.media_types import GROUPS, group_of
from medfiles.text import fold, sort_key
from tests.support.extent import Extent
from tests.support.factories import World

pytestmark = pytest.mark.database

MORNING = datetime(2026, 5, 12, 9, 30, tzinfo=UTC)
TYPES = (
    "application/pdf", "image/jpeg", "image/png", "application/msword", "text/csv", "text/plain", "application/dicom",
)  # fmt: skip
ORDERINGS = [(sort, order) for sort in SORTS for order in ("asc", "desc")]
INDEXES = {
    "date": "ix_entity_files_entity_type_entity_id_deleted_at_uploaded_at_id",
    "document_date": "ix_entity_files_entity_type_entity_id_deleted_at_dated_on_id",
    "name": "ix_entity_files_entity_type_entity_id_deleted_at_sort_name_id",
}
numbers = itertools.count(3_000_000_000)  # above what 32 bits hold


@dataclass(frozen=True)
class Paper:
    """What a test says about a document."""

    name: str = "letter.pdf"
    description: str | None = None
    category: str | None = None
    file_type: str = "application/pdf"
    size: int = 1000
    at: datetime = MORNING
    dated: date | None = None
    deleted_at: datetime | None = None
    id: int = field(default_factory=lambda: next(numbers))

    def row(self, record_id: int, patient_id: int) -> dict[str, Any]:
        return {
            "id": self.id, "entity_type": "visit", "entity_id": record_id, "patient_id": patient_id,
            "file_name": self.name, "description": self.description, "category": self.category,
            "file_path": f"files/visits/{self.id}", "storage": "disk", "file_type": self.file_type,
            "file_size": self.size, "sha256": "0" * 64, "uploaded_at": self.at, "deleted_at": self.deleted_at,
            "created_at": self.at, "updated_at": self.at, "sort_name": sort_key(self.name),
            "document_date": self.dated, "dated_on": self.dated or self.at.date(),
            "search_text": fold(f"{self.name}\n{self.description or ''}"),
        }  # fmt: skip


@dataclass
class Shelf:
    """Puts documents on records that exist in name only, so that no limit is in the way."""

    patient_id: int

    def put(self, papers: Sequence[Paper]) -> int:
        record_id = next(numbers)
        if papers:
            rows = [paper.row(record_id, self.patient_id) for paper in papers]
            db.session.execute(EntityFile.__table__.insert(), rows)
        db.session.commit()
        return record_id


@pytest.fixture
def shelf(world: World) -> Shelf:
    return Shelf(world.patient().id)


def pages(record_id: int, query: Mapping[str, str], limit: int, trashed: bool = False) -> Iterator[Page]:
    """As a reader scrolls: each page is asked for with the cursor of the one before."""
    cursor: str | None = ""
    while cursor is not None:
        shown = page(
            of_record(VISIT, record_id), list_query({**query, "cursor": cursor}, VISIT, trashed=trashed), limit
        )
        yield shown
        cursor = shown.next


def listed(record_id: int, query: Mapping[str, str], limit: int = 3, trashed: bool = False) -> list[int]:
    return [file.id for shown in pages(record_id, query, limit, trashed) for file in shown.files]


def names(record_id: int, **query: str) -> list[str]:
    return [file.file_name for file in page(of_record(VISIT, record_id), list_query(query, VISIT)).files]


moments = st.sampled_from([MORNING + timedelta(hours=9 * n, microseconds=n % 3) for n in range(8)])
words = st.sampled_from(
    ["Scan", "scan", "2", "10", "010", "März", "50%", "a_b", "ärzte", "Ωmega", "日本", "🩻", "x/y\\z"]
)
papers = st.builds(
    Paper,
    name=st.lists(words, min_size=1, max_size=3).map(" ".join),
    description=st.none() | words,
    category=st.none() | st.sampled_from(VISIT.categories),
    file_type=st.sampled_from(TYPES),
    size=st.sampled_from([1, 2, 2**31, 2**40]),
    at=moments,
    dated=st.none() | st.dates(date(2026, 5, 11), date(2026, 5, 16)),
    deleted_at=st.none() | moments,
)
days = st.dates(date(2026, 5, 11), date(2026, 5, 16)).map(str)
queries = st.fixed_dictionaries(
    {"sort": st.sampled_from(list(SORTS)), "order": st.sampled_from(["asc", "desc"])},
    optional={
        "q": words,
        "category": st.sampled_from([*VISIT.categories, "none"]),
        "media": st.sampled_from(list(GROUPS)),
        "from": days,
        "to": days,
        "date_field": st.sampled_from(["uploaded", "document"]),
        "zone": st.sampled_from(["UTC", "Europe/Berlin", "Pacific/Auckland", "America/Los_Angeles"]),
    },
).filter(lambda query: query.get("from", "") <= query.get("to", "9"))


def fits(paper: Paper, query: Mapping[str, str], trashed: bool) -> bool:
    moment = paper.deleted_at if trashed else paper.at
    if (paper.deleted_at is not None) != trashed or moment is None:
        return False
    day = str(moment.astimezone(ZoneInfo(query.get("zone", "UTC"))).date())
    if query.get("date_field") == "document":
        day = str(paper.dated or paper.at.date())
    return (
        all(word in fold(f"{paper.name}\n{paper.description or ''}") for word in fold(query.get("q", "")).split())
        and query.get("category", paper.category or "none") == (paper.category or "none")
        and query.get("media", group_of(paper.file_type)) == group_of(paper.file_type)
        and query.get("from", day) <= day <= query.get("to", day)
    )


def place(paper: Paper, sort: str, trashed: bool) -> tuple[Any, ...]:
    values: dict[str, tuple[Any, ...]] = {
        "date": (paper.deleted_at if trashed else paper.at,),
        "name": (sort_key(paper.name),),
        "document_date": (paper.dated or paper.at.date(),),
        "size": (paper.size,),
        "type": (group_of(paper.file_type), paper.file_type, sort_key(paper.name)),
    }
    return (*values[sort], paper.id)


def expected(some: Sequence[Paper], query: Mapping[str, str], trashed: bool) -> list[int]:
    found = [paper for paper in some if fits(paper, query, trashed)]
    found.sort(key=lambda paper: place(paper, query["sort"], trashed), reverse=query["order"] == "desc")
    return [paper.id for paper in found]


@settings.get_profile("costly")
@given(st.lists(papers, max_size=12), queries, st.booleans(), st.integers(1, 5))
def test_pages_hold_what_fits_in_the_order_asked_for(
    shelf: Shelf, some: list[Paper], query: dict[str, str], trashed: bool, limit: int
) -> None:
    record_id = shelf.put(some)
    assert listed(record_id, query, limit, trashed) == expected(some, query, trashed)


@settings.get_profile("costly")
@given(st.lists(papers, max_size=8), queries, st.booleans())
def test_all_that_matches_is_what_the_pages_hold(
    shelf: Shelf, some: list[Paper], query: dict[str, str], trashed: bool
) -> None:
    record_id = shelf.put(some)
    asked = list_query(query, VISIT, trashed=trashed)
    found = matching(VISIT, record_id, asked)
    assert found == [file.id for file in page(of_record(VISIT, record_id), asked).files]
    assert page(of_record(VISIT, record_id), asked, 1).hits == len(found)


@pytest.mark.parametrize(("count", "sizes"), [(0, [0]), (4, [2, 2]), (5, [2, 2, 1])])
def test_a_record_has_as_many_pages_as_needed_and_the_first_counts_all_hits(
    shelf: Shelf, count: int, sizes: list[int]
) -> None:
    shelf.put([Paper()])
    found = list(pages(shelf.put([Paper() for _ in range(count)]), {}, 2))
    assert [len(shown.files) for shown in found] == sizes
    assert [shown.hits for shown in found] == [count] + [None] * (len(sizes) - 1)


def test_the_newest_document_comes_first_by_default(shelf: Shelf) -> None:
    record_id = shelf.put([Paper(name=f"{n}.pdf", at=MORNING + timedelta(microseconds=n)) for n in (2, 1, 3)])
    assert names(record_id) == ["3.pdf", "2.pdf", "1.pdf"]


def test_numbers_in_names_are_sorted_as_numbers(shelf: Shelf) -> None:
    record_id = shelf.put([Paper(name=name) for name in ("Scan 10.pdf", "scan 9.pdf", "Scan 2.pdf", "Ärzte 1.pdf")])
    assert names(record_id, sort="name") == ["Ärzte 1.pdf", "Scan 2.pdf", "scan 9.pdf", "Scan 10.pdf"]


def test_a_search_finds_every_word_without_accents_and_capitals(shelf: Shelf) -> None:
    record_id = shelf.put([Paper(name="Brief März.pdf", description="Bluttest"), Paper(name="Brief April.pdf")])
    for q in ("marz", "MÄRZ", "ma\u0308rz", "brief marz", "bluttest", "  März  BLUT "):
        assert names(record_id, q=q) == ["Brief März.pdf"]


def test_symbols_in_a_search_stand_for_themselves(shelf: Shelf) -> None:
    record_id = shelf.put([Paper(name=name) for name in ("50%.pdf", "500.pdf", "a_b.pdf", "axb.pdf", "x\\y.pdf")])
    for q, found in (("50%", ["50%.pdf"]), ("a_b", ["a_b.pdf"]), ("x\\y", ["x\\y.pdf"]), ("%%", [])):
        assert names(record_id, q=q) == found


def test_days_are_those_of_the_readers_zone(shelf: Shelf) -> None:
    record_id = shelf.put([Paper(at=datetime(2026, 5, 12, 22, 30, tzinfo=UTC))])
    day = {"from": "2026-05-13", "to": "2026-05-13"}
    assert len(names(record_id, **day, zone="Europe/Berlin")) == 1
    assert names(record_id, **day) == []


@pytest.mark.parametrize(("sort", "order"), ORDERINGS)
def test_documents_added_and_removed_while_scrolling_neither_repeat_nor_hide_others(
    shelf: Shelf, sort: str, order: str
) -> None:
    some = [Paper(name=f"{n}.pdf", size=n, at=MORNING + timedelta(seconds=n)) for n in range(10, 20)]
    record_id = shelf.put(some)
    scrolled = pages(record_id, {"sort": sort, "order": order}, 4)
    seen = [file.id for file in next(scrolled).files]
    stays = {paper.id for paper in some} - {seen[-1]}
    db.session.execute(EntityFile.__table__.delete().where(EntityFile.id == seen[-1]))
    ends = [Paper(name=f"{n}.pdf", size=n, at=MORNING + timedelta(seconds=n)) for n in (1, 99)]
    rows = [paper.row(record_id, shelf.patient_id) for paper in ends]
    db.session.execute(EntityFile.__table__.insert(), rows)
    seen += [file.id for shown in scrolled for file in shown.files]
    assert len(seen) == len(set(seen))
    assert stays <= set(seen)


def heaped(shelf: Shelf, count: int = 10_000) -> int:
    """A record with very many documents, every tenth of them like another in all that is sorted by."""
    moments = [MORNING + timedelta(minutes=n - n % 10) for n in range(count)]
    record_id = shelf.put(
        [
            Paper(name=f"Scan {n // 10 * 7 % 997}.pdf", size=n // 10 * 13 % 1009, at=at, file_type=TYPES[n // 10 % 7])
            for n, at in enumerate(moments)
        ]
    )
    if db.engine.dialect.name == "postgresql":
        db.session.execute(text("ANALYZE entity_files"))
        db.session.commit()
    return record_id


def test_ten_thousand_documents_are_each_listed_once_in_every_order(
    shelf: Shelf, statements: Callable[[], list[str]], extent: Extent
) -> None:
    count = extent.of(10_000, 2_000)
    record_id = heaped(shelf, count)
    heard = statements()
    for sort, order in ORDERINGS:
        heard.clear()
        seen = listed(record_id, {"sort": sort, "order": order}, 200)
        assert len(seen) == len(set(seen)) == count
        assert len([said for said in heard if said.startswith("SELECT")]) == count // 200 + 1


def test_a_page_of_ten_thousand_needs_two_statements_and_all_that_matches_one(
    shelf: Shelf, statements: Callable[[], list[str]]
) -> None:
    record_id = heaped(shelf)
    asked = list_query({"q": "scan", "media": "image", "sort": "type"}, VISIT)
    db.session.execute(text("SELECT 1"))  # the transaction is open
    heard = statements()
    page(of_record(VISIT, record_id), asked, 50)
    matching(VISIT, record_id, asked)
    assert len(heard) == 2 + 1


@pytest.mark.parametrize("order", ["asc", "desc"])
@pytest.mark.parametrize("sort", ["date", "name"])
def test_an_index_has_the_order_of_dates_and_names(shelf: Shelf, sort: str, order: str) -> None:
    record_id = heaped(shelf)
    first = page(of_record(VISIT, record_id), list_query({"sort": sort, "order": order}, VISIT), 50)
    for cursor in ("", first.next or ""):
        plan = plan_of(record_id, {"sort": sort, "order": order, "cursor": cursor})
        assert INDEXES[sort] in plan
        assert "Sort" not in plan
        assert "TEMP B-TREE" not in plan


def plan_of(record_id: int, query: Mapping[str, str]) -> str:
    """How the database finds the rows of a page."""
    heard: list[tuple[str, Any]] = []

    def listen(connection: Any, cursor: Any, statement: str, parameters: Any, *_: Any) -> None:
        heard.append((statement, parameters))

    event.listen(db.engine, "before_cursor_execute", listen)
    page(of_record(VISIT, record_id), list_query(query, VISIT), 50)
    event.remove(db.engine, "before_cursor_execute", listen)
    explain = "EXPLAIN" if db.engine.dialect.name == "postgresql" else "EXPLAIN QUERY PLAN"
    [statement, parameters] = heard[0]
    said = db.session.connection().exec_driver_sql(f"{explain} {statement}", parameters)
    return "\n".join(str(row) for row in said.all())


def token(said: str) -> str:
    return base64.urlsafe_b64encode(said.encode("utf-8", "surrogatepass")).decode().rstrip("=")


ids = st.integers().map(str) | st.sampled_from(["7", "", "x", "1e3", " 7", "٣", "9" * 5000, str(2**63), "-1", "0x10"])
moments_and_worse = ["nul\0", "2026-05-12", "0001-01-01T00:00:00+14:00", "0001-01-01T00:00:00Z", "24:00", "NaN"]
values = st.one_of(
    st.text(),
    st.integers().map(str),
    st.datetimes().map(str),
    st.datetimes(timezones=st.sampled_from([UTC, ZoneInfo("Pacific/Auckland")])).map(str),
    st.sampled_from(moments_and_worse),
)
garbage = st.one_of(
    st.text(min_size=1),
    st.text().map(token).filter(bool),
    st.binary(min_size=1).map(lambda data: base64.urlsafe_b64encode(data).decode()),
    st.sampled_from(["[" * 4000, "A" * 100_000, "====", "\0", "\ud800"]),
)


def asked_for(query: Mapping[str, str], trashed: bool = False) -> ListQuery | str:
    """What is asked for, or the sentence with which it is refused; any other error passes."""
    try:
        return list_query(query, VISIT, trashed=trashed)
    except Rejected as error:
        return error.message


@given(garbage)
def test_a_cursor_nobody_gave_out_is_refused(cursor: str) -> None:
    assert "“cursor”" in str(asked_for({"cursor": cursor}))


@settings.get_profile("costly")
@given(ids, values, st.sampled_from(ORDERINGS), st.booleans())
def test_a_forged_cursor_is_refused_or_read_but_never_a_failure(
    shelf: Shelf, number: str, value: str, ordering: tuple[str, str], trashed: bool
) -> None:
    scope = f"{ordering[0]} {ordering[1]} {'trash' if trashed else 'live'}"
    query = {"cursor": token(f"{scope}\n{number}\n{value}"), "sort": ordering[0], "order": ordering[1]}
    asked = asked_for(query, trashed)
    if isinstance(asked, ListQuery):
        assert page(of_record(VISIT, 1), asked, 10).files == []
    else:
        assert "“cursor”" in asked


@pytest.mark.parametrize(
    "said",
    [
        *(f"size desc live\n{number}\n7" for number in (-1, 2**63, 10**30)),
        *(f"size desc live\n7\n{number}" for number in (-1, 2**63, 10**30)),
        *(f"date desc live\n7\n{at}" for at in ("0001-01-01T00:00:00+14:00", "2026-05-12T09:30:00", "yesterday")),
        "date desc live\n7\n2026-05-12T09:30:00+00:00\0",
        "date desc live\n7",
        "\udcff",
    ],
)
def test_a_cursor_with_an_impossible_number_or_time_is_refused(said: str) -> None:
    with pytest.raises(Rejected, match="“cursor”"):
        list_query({"sort": said.split(" ")[0] if " " in said else "date", "cursor": token(said)}, VISIT)


def test_a_range_that_ends_before_it_begins_is_refused() -> None:
    with pytest.raises(Rejected, match="“from” must not be after “to”"):
        list_query({"from": "2026-05-13", "to": "2026-05-12"}, VISIT)


@given(st.dictionaries(st.sampled_from(["q", "category", "media", "from", "to", "zone", "sort", "order"]), st.text()))
def test_no_parameter_is_more_than_refused(query: dict[str, str]) -> None:
    asked = asked_for(query)
    assert isinstance(asked, str) or list_query(asked.query(), VISIT) == asked


def test_empty_parameters_mean_nothing_and_each_sort_has_its_own_order() -> None:
    empty = dict.fromkeys(["q", "category", "media", "from", "to", "zone", "sort", "order", "cursor"], "")
    assert list_query(empty, VISIT) == list_query({}, VISIT) == ListQuery()
    assert [list_query({"sort": sort.name}, VISIT).order for sort in SORTS.values()] == [
        s.order for s in SORTS.values()
    ]


@given(queries)
def test_an_address_leads_back_to_the_same_list(query: dict[str, str]) -> None:
    asked = list_query(query, VISIT)
    assert list_query(asked.query(), VISIT) == asked
    assert asked.query().items() <= query.items()


def test_an_address_holds_neither_defaults_nor_the_page(shelf: Shelf) -> None:
    first = page(of_record(VISIT, shelf.put([Paper(), Paper()])), ListQuery(), 1)
    defaults = {"zone": "UTC", "sort": "date", "order": "desc", "cursor": first.next or ""}
    assert list_query(defaults, VISIT).query() == {}
    assert list_query({"sort": "size", "order": "desc"}, VISIT).query() == {"sort": "size"}


def test_sorting_is_not_a_filter() -> None:
    filters = {"q": "scan", "category": "none", "media": "pdf", "from": "2026-05-12", "to": "2026-05-12"}
    assert all(list_query({name: value}, VISIT).filtered for name, value in filters.items())
    assert not list_query({"sort": "name", "order": "desc", "zone": "Europe/Berlin", "q": "  "}, VISIT).filtered


def test_an_edited_document_is_found_by_its_new_details_only(world: World) -> None:
    record = world.record()
    file = world.attach(record, "april.pdf", description="Bluttest")
    assert names(record.id, q="bluttest") == ["april.pdf"]
    world.documents().edit(file.id, {"file_name": "März 12.pdf", "description": ""})
    assert [names(record.id, q=q) for q in ("marz 12", "april", "bluttest")] == [["März 12.pdf"], [], []]
    assert db.session.scalar(select(EntityFile.sort_name)) == sort_key("März 12.pdf")


@given(st.text(max_size=255), st.none() | st.text(max_size=50), st.booleans())
def test_a_row_keeps_its_sorted_and_searched_forms_itself(name: str, description: str | None, reverse: bool) -> None:
    given_values = {"file_name": name, "description": description}
    made = EntityFile(**dict(reversed(given_values.items())) if reverse else given_values)
    changed = EntityFile(file_name="before", description="before")
    changed.file_name, changed.description = name, description
    assert (made.sort_name, made.search_text) == (changed.sort_name, changed.search_text)
    assert made.sort_name == sort_key(name)
    assert made.search_text == fold("\n".join(filter(None, (name, description))))


def test_names_are_compared_by_code_points_on_every_database(world: World) -> None:
    columns = {column["name"]: column["type"] for column in inspect(db.engine).get_columns("entity_files")}
    assert isinstance(columns["sort_name"], String)
    assert columns["sort_name"].collation == ("C" if db.engine.dialect.name == "postgresql" else None)


def test_the_longest_names_fit_into_the_index(shelf: Shelf) -> None:
    longest = [Paper(name=letter * 255) for letter in ("\ufdfa", "🩻", "9", "½", "1a")]
    record_id = shelf.put([replace(paper, name=paper.name[:255]) for paper in longest])
    assert len(listed(record_id, {"sort": "name"}, 2)) == 5


def test_documents_from_before_are_found_and_sorted_after_migrating(shelf: Shelf) -> None:
    some = [Paper(name=f"Scan {n}½ März.pdf", description="Straße" if n % 2 else None) for n in range(1, 1102)]
    shelf.put(some)
    db.session.remove()
    downgrade(revision="0001")
    upgrade()
    stored = select(EntityFile.file_name, EntityFile.description, EntityFile.sort_name, EntityFile.search_text)
    rows = db.session.execute(stored).all()
    assert len(rows) == len(some)
    for name, description, *forms in rows:
        fresh = EntityFile(file_name=name, description=description)
        assert forms == [fresh.sort_name, fresh.search_text]


def test_the_number_of_a_purged_document_is_not_given_again_after_migrating(world: World) -> None:
    gone = world.attach(world.record()).id
    world.documents().trash(gone)
    world.documents().purge(gone)
    db.session.remove()
    downgrade(revision="0001")
    upgrade()
    assert db.session.scalar(select(func.count(EntityFile.id))) == 0
    assert world.attach(world.record()).id == gone + 1
