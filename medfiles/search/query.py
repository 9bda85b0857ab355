"""Find entries of the search index, the best first, in one statement on both databases.

A hit has all words of the query, the last one also as a beginning. Words of the patient's name may be among them: "hans
mri" finds each MRI report of Hans. Better are hits with all words in their title, best those with all of them in a row.
Among equals, patients come first, then the newest day.
"""

import json
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from datetime import date
from typing import Any, NamedTuple

from sqlalchemy import (
    ARRAY,
    Integer,
    Text,
    and_,
    bindparam,
    case,
    cast,
    column,
    exists,
    false,
    func,
    literal,
    literal_column,
    or_,
    select,
    table,
    tuple_,
)
from sqlalchemy.dialects.postgresql import TSQUERY

from medfiles import permissions
from medfiles.database import cursors
from medfiles.database.cursors import Cursor
from medfiles.database.session import db
from medfiles.models import EntityFile, SearchEntry
from medfiles.models.search import TOKENS, WORDS_TABLE
from medfiles.permissions import Action, Actor
from medfiles.record_types.declared import Registry
from medfiles.record_types.media_types import BY_NAME, OTHER, group_of
from medfiles.search.index import ANY, DOCUMENT, NAME, PATIENT, RECORD
from medfiles.text import is_unspaced, query_tokens

MOST_TERMS = 16
MOST_NAMED = 100  # if more patients have a word of the query in their names, it stands for none of them
SCOPE = "search"  # of cursors
PHRASE, TITLE, TEXT = 3, 2, 1  # how well a hit matches


class Term(NamedTuple):
    """A word of a query. With `prefix`, also words that begin with it match."""

    text: str
    prefix: bool = False

    def matches(self, token: str) -> bool:
        return token.startswith(self.text) if self.prefix else token == self.text


Terms = tuple[Term, ...]


@dataclass(frozen=True)
class SearchQuery:
    """What to search for: all words of `q`, within the given bounds. Days are inclusive."""

    q: str = ""
    patient: int | None = None
    type: str = ""  # name of a record type
    category: str = ""
    media: str = ""  # a key of GROUPS
    from_: date | None = None
    to: date | None = None
    cursor: Cursor | None = None

    @property
    def terms(self) -> Terms:
        return terms_of(self.q)

    def query(self) -> dict[str, str]:
        """Return the query parameters of the first page of these results."""
        given = {
            "q": self.q,
            "patient": self.patient and str(self.patient),
            "type": self.type,
            "category": self.category,
            "media": self.media,
            "from": self.from_ and self.from_.isoformat(),
            "to": self.to and self.to.isoformat(),
        }
        return {name: value for name, value in given.items() if value}

    @property
    def filtered(self) -> bool:
        return bool(self.patient or self.type or self.category or self.media or self.from_ or self.to)


@dataclass(frozen=True)
class Hit:
    """An entry that was found, with the words of the query that it has itself."""

    kind: str
    entity_type: str
    subject_id: int
    patient_id: int
    day: date
    terms: Terms


@dataclass(frozen=True)
class HitPage:
    hits: Sequence[Hit]
    total: int | None  # None on later pages
    next: str | None  # cursor of the next page


@dataclass(frozen=True)
class Access:
    """Whose entries to look up: the account's own patients together, and each shared patient."""

    owner: int | None
    patients: Sequence[int] = ()

    @property
    def scopes(self) -> Sequence[str]:
        return [*([f"o{self.owner}"] if self.owner else []), *(f"p{number}" for number in self.patients)]


@dataclass(frozen=True)
class _Arm:
    """Words to look up in some scopes. `named`: patients whose names have the other words of the query."""

    scopes: Sequence[str]
    terms: Terms
    named: Sequence[int] = field(default=())


def terms_of(q: str) -> Terms:
    """Return the words of a query, the last one as a prefix; none if no word is long enough to search for.

    A single letter is a word of its own and no prefix, because too many words begin with it.
    """
    found = [token.text for token in query_tokens(q)][:MOST_TERMS]
    if not any(len(word) > 1 or is_unspaced(word) for word in found):
        return ()
    last = len(found) - 1
    terms = (Term(word, place == last and (len(word) > 1 or is_unspaced(word))) for place, word in enumerate(found))
    return tuple(dict.fromkeys(terms))


def read_cursor(token: str) -> Cursor:
    """Parse a cursor of search results; raise Rejected for any other."""
    return cursors.read(token, SCOPE, _read_position)


def page(registry: Registry, actor: Actor, query: SearchQuery, limit: int) -> HitPage:
    """Return up to `limit` hits after the cursor, and on the first page how many there are."""
    terms, access = query.terms, _access(actor, query.patient)
    if not terms or not access.scopes:
        return HitPage((), None if query.cursor else 0, None)
    arms = _arms(terms, access)
    found = _statement(registry, actor, query, arms)
    rows = db.session.execute(found.limit(limit + 1)).all()
    total = None
    if query.cursor is None:
        total = rows[0].total if rows else 0
    shown = rows[:limit]
    hits = [
        Hit(row.kind, row.entity_type, row.subject_id, row.patient_id, row.day, arms[row.arm].terms) for row in shown
    ]
    if len(rows) == len(shown):
        return HitPage(hits, total, None)
    last = shown[-1]
    return HitPage(hits, total, cursors.write(SCOPE, f"{last.rank} {last.day} {last.place}", last.subject_id))


def matching_records(patient_id: int, record_type: str, q: str) -> Any:
    """Return a query for the ids of a patient's records of one type that have all words, as `page` finds them."""
    entry = SearchEntry.__table__.c
    terms = terms_of(q)
    if not terms:
        return select(entry.subject_id).where(false())
    matched = _matched([(_all_of(f"p{patient_id}", terms), 0)])
    of_type = (entry.kind == RECORD, entry.entity_type == record_type, entry.patient_id == patient_id)
    return select(entry.subject_id).join_from(SearchEntry.__table__, matched, matched.c.id == entry.id).where(*of_type)


def _access(actor: Actor, patient_id: int | None) -> Access:
    """Return whose entries the actor may look up; of one patient, if given."""
    only = {number for number in (actor.only_patient, patient_id) if number is not None}
    if len(only) > 1:
        return Access(None)
    allowed = permissions.levels(actor).subquery()
    query = select(allowed.c.patient_id).order_by(allowed.c.patient_id)
    if only:
        return Access(None, db.session.scalars(query.where(allowed.c.patient_id.in_(only))).all())
    return Access(actor.user_id, db.session.scalars(query.where(allowed.c.level != Action.OWN)).all())


def _arms(terms: Terms, access: Access) -> Sequence[_Arm]:
    """Split the search by patients: those named in the query need not have the words of their names elsewhere."""
    named: dict[Terms, list[int]] = {}
    if len(terms) > 1:
        for patient_id, name in _named(terms, access):
            words = name.split()
            rest = tuple(term for term in terms if not any(term.matches(word) for word in words))
            if rest and rest != terms:
                named.setdefault(rest, []).append(patient_id)
    others = [number for numbers in named.values() for number in numbers]
    arms = [_Arm(access.scopes, terms, others)]
    return arms + [_Arm([f"p{number}" for number in numbers], rest) for rest, numbers in named.items()]


def _named(terms: Terms, access: Access) -> Sequence[Any]:
    """Return the patients who have one of these words in their names, unless there are too many."""
    entries = SearchEntry.__table__.c
    matched = _matched([(_any_of(scope, terms), 0) for scope in access.scopes])
    query = select(entries.patient_id, entries.title).join(matched, matched.c.id == entries.id)
    rows = db.session.execute(query.where(entries.kind == PATIENT).order_by(entries.id).limit(MOST_NAMED + 1)).all()
    return rows if len(rows) <= MOST_NAMED else ()


def _statement(registry: Registry, actor: Actor, query: SearchQuery, arms: Sequence[_Arm]) -> Any:
    entry = SearchEntry.__table__.c
    queries = [(_all_of(scope, arm.terms), number) for number, arm in enumerate(arms) for scope in arm.scopes]
    matched = _matched(queries)
    class_ = case(*((matched.c.arm == number, _class(arm.terms)) for number, arm in enumerate(arms)), else_=TEXT)
    rank = (class_ * 2 + case((entry.kind == PATIENT, 1), else_=0)).label("rank")
    place = _place(registry).label("place")
    columns = (entry.kind, entry.entity_type, entry.subject_id, entry.patient_id, entry.day, matched.c.arm, rank, place)
    found = select(*columns, func.count().over().label("total"))
    found = found.join_from(SearchEntry.__table__, matched, matched.c.id == entry.id)
    found = found.outerjoin(EntityFile, and_(entry.kind == DOCUMENT, EntityFile.id == entry.subject_id))
    found = found.where(entry.patient_id.in_(permissions.patients_for(actor)), *_bounds(registry, query))
    if arms[0].named:
        found = found.where(or_(matched.c.arm != 0, entry.patient_id.not_in(arms[0].named)))
    keys = (rank, entry.day, place, entry.subject_id)
    if query.cursor is not None:
        last_rank, last_day, last_place = query.cursor.value
        found = found.where(tuple_(*keys) < tuple_(last_rank, literal(last_day), last_place, query.cursor.id))
    return found.order_by(*(key.desc() for key in keys))


def _bounds(registry: Registry, query: SearchQuery) -> Iterator[Any]:
    """Return the conditions of the query's filters, and that the row exists and is not in the trash."""
    entry = SearchEntry.__table__.c
    is_live_document = and_(EntityFile.id.is_not(None), EntityFile.deleted_at.is_(None))
    live = [entry.kind == PATIENT, and_(entry.kind == DOCUMENT, is_live_document)]
    for record_type in registry:
        model = record_type.model
        is_live = exists().where(model.id == entry.subject_id, model.deleted_at.is_(None))
        live.append(and_(entry.kind == RECORD, entry.entity_type == record_type.name, is_live))
    yield or_(*live)
    if query.type:
        yield entry.entity_type == query.type
    if query.category:
        yield EntityFile.category == query.category
    if query.media:
        names = [name for name in BY_NAME if group_of(name) == query.media]
        of_group = EntityFile.file_type.in_(names)
        yield of_group if query.media != OTHER else or_(of_group, EntityFile.file_type.not_in(list(BY_NAME)))
    if query.from_:
        yield entry.day >= query.from_
    if query.to:
        yield entry.day <= query.to
    if query.from_ or query.to:
        yield entry.kind != PATIENT  # a birth date is not a date of a document or record


def _place(registry: Registry) -> Any:
    """Return a number that orders entries of one day, in SQL."""
    entry = SearchEntry.__table__.c
    types = {record_type.name: number + 1 for number, record_type in enumerate(registry)}
    of_record = case(types, value=entry.entity_type, else_=0)
    return case((entry.kind == DOCUMENT, 0), (entry.kind == PATIENT, len(types) + 1), else_=of_record)


def _class(terms: Terms) -> Any:
    """Return how well an entry that has these words matches, in SQL."""
    title = " " + SearchEntry.__table__.c.title + " "
    in_title = [title.contains(f" {term.text}" + ("" if term.prefix else " "), autoescape=True) for term in terms]
    phrase = " " + " ".join(term.text for term in terms) + ("" if terms[-1].prefix else " ")
    return case((title.contains(phrase, autoescape=True), PHRASE), (and_(*in_title), TITLE), else_=TEXT)


def _matched(queries: Sequence[tuple[str, int]]) -> Any:
    """Return a table of (id, arm) of the entries that match, each query looked up in the index on its own.

    It is materialized, because the planner could otherwise test all patients' entries one by one.
    """
    if db.engine.dialect.name == "sqlite":
        given = func.json_each(bindparam(None, json.dumps(queries), Text)).table_valued("value", name="given")
        words = table(WORDS_TABLE, column("rowid"), column(WORDS_TABLE))
        matches = words.c[WORDS_TABLE].op("MATCH")(func.json_extract(given.c.value, "$[0]"))
        arm = func.json_extract(given.c.value, "$[1]", type_=Integer).label("arm")
        found = select(words.c.rowid.label("id"), arm).select_from(given).join(words, matches)
        return found.cte("matched").prefix_with("MATERIALIZED")
    texts = cast([text for text, _ in queries], ARRAY(Text))
    arms = cast([arm for _, arm in queries], ARRAY(Integer))
    pairs = func.unnest(texts, arms).table_valued(column("query", Text), column("arm", Integer), name="given")
    given = pairs.render_derived()
    matches = literal_column(TOKENS).op("@@")(cast(given.c.query, TSQUERY))
    found = select(SearchEntry.__table__.c.id, given.c.arm).select_from(given).join(SearchEntry.__table__, matches)
    return found.cte("matched").prefix_with("MATERIALIZED")


def _all_of(scope: str, terms: Terms) -> str:
    """Return the index query for entries with all of these words."""
    joined = " AND " if db.engine.dialect.name == "sqlite" else " & "
    return joined.join(_quoted(f"{scope}{ANY}{term.text}", term.prefix) for term in terms)


def _any_of(scope: str, terms: Terms) -> str:
    """Return the index query for patients with any of these words in their names."""
    joined = " OR " if db.engine.dialect.name == "sqlite" else " | "
    return joined.join(_quoted(f"{scope}{NAME}{term.text}", term.prefix) for term in terms)


def _quoted(token: str, prefix: bool) -> str:
    if db.engine.dialect.name == "sqlite":
        return f'"{token}"{"*" if prefix else ""}'
    return f"'{token}'{':*' if prefix else ''}"


def _read_position(value: str) -> tuple[int, date, int]:
    rank, day, place = value.split(" ")
    return int(rank), date.fromisoformat(day), int(place)
