"""Searches find what an account can see, in the right order, and nothing else: compared with a plain list in Python."""

import random
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from datetime import date, timedelta
from typing import Any

import pytest
from sqlalchemy import select

from medfiles.clock import now
from medfiles.database.session import db, transaction
from medfiles.models import EntityFile, PageText, Patient
from medfiles.permissions import Actor
from medfiles.search import index, query
from medfiles.search.query import SearchQuery
from medfiles.search.service import Result, Results, SearchService
from tests.support.extent import Extent
from tests.support.factories import World

pytestmark = pytest.mark.database

ACCOUNTS = [f"{name}@sample.example" for name in ("nora", "otto", "pia", "quinn")]
NAMES = ("Ella", "Hans", "Mira", "Anna", "Report")
WORDS = (
    "mri",
    "mriscan",
    "knee",
    "report",
    "reporting",
    "blood",
    "sugar",
    "sample",
    "hans",
    "4711",
    "2019-06-20",
    "b12",
)
OWN = ("secret", "zebra", "quartz", "amber")  # words that only one account's patients have
BIRTHS = (date(2018, 3, 2), date(1949, 11, 30))
PLACES = {"document": 0, "lab-result": 1, "visit": 2, "procedure": 3, "insurance": 4, "patient": 5}


@dataclass(frozen=True)
class Row:
    """What the test knows of a document, record or patient, without the index."""

    kind: str
    type: str
    id: int
    patient: int
    day: date
    title: tuple[str, ...]
    words: frozenset[str]
    file_type: str = ""
    category: str | None = None


@dataclass
class Family:
    world: World
    rows: list[Row]
    names: dict[int, tuple[str, ...]]
    visible: dict[str, set[int]]

    def service(self, email: str, only_patient: int | None = None) -> SearchService:
        actor: Actor = replace(self.world.actor(email), only_patient=only_patient)
        return SearchService(actor, self.world.parts.registry, self.world.parts.storages)


def written(day: date) -> set[str]:
    found = {day.isoformat(), f"{day.day}.{day.month}.{day.year}", f"{day:%d.%m.%Y}", str(day.day), str(day.year)}
    found |= {f"{day:%B}".lower(), f"{day:%b}".lower(), f"{day:%m}", f"{day:%d}", str(day.month)}
    return found


def parts(words: Sequence[str]) -> set[str]:
    return {*words, *(part for word in words for part in word.split("-"))}


@pytest.fixture
def family(world: World, extent: Extent) -> Family:
    chosen = random.Random(extent.seed)
    known = Family(world, [], {}, {email: set() for email in ACCOUNTS})
    patients: list[tuple[str, Patient]] = []
    for number, email in enumerate(ACCOUNTS):
        for _ in range(2):
            patient = world.patient(email, chosen.choice(NAMES))
            with transaction() as session:
                row = session.get_one(Patient, patient.id)
                row.birth_date = BIRTHS[number % 2]
                index.put_patient(row)
            patients.append((email, patient))
            known.visible[email].add(patient.id)
            name = (patient.first_name.lower(), "sample")
            known.names[patient.id] = name
            words = {*name, *written(BIRTHS[number % 2])}
            known.rows.append(
                Row("patient", "patient", patient.id, patient.id, BIRTHS[number % 2], name, frozenset(words))
            )
            for _ in range(3):
                _record(known, chosen, email, patient, OWN[number])
    for number, (_, patient) in enumerate(patients):
        if number % 4 == 0:
            other = ACCOUNTS[(number // 2 + 1) % 4]
            world.share(patient, other, chosen.choice(["view", "edit"]))
            known.visible[other].add(patient.id)
    _, expired = patients[1]
    world.share(expired, ACCOUNTS[3], "view", now() - timedelta(days=1))
    owner, gone = patients[-1]
    world.records(owner).delete_patient(gone.id)
    for visible in known.visible.values():
        visible.discard(gone.id)
    return known


def _record(known: Family, chosen: random.Random, email: str, patient: Patient, own: str) -> None:
    kind = chosen.choice(["visit", "lab-result", "procedure"])
    field = {"visit": "reason", "lab-result": "test_name", "procedure": "procedure_name"}[kind]
    dated = "ordered_date" if kind == "lab-result" else "date"
    title, notes = chosen.sample(WORDS, 2), [*chosen.sample(WORDS, 2), own]
    day = date(chosen.choice([2018, 2019, 2020]), chosen.randint(1, 12), chosen.randint(1, 28))
    record = known.world.record(kind, patient, email, **{field: " ".join(title), "notes": " ".join(notes), dated: day})
    found = parts(title) | written(day)
    known.rows.append(Row("record", kind, record.id, patient.id, day, tuple(title), frozenset(found | parts(notes))))
    [file_id] = known.world.store(record, f"{' '.join(name := chosen.sample(WORDS, 2))}.txt")
    text, sha = [*chosen.sample(WORDS, 2), own], f"{file_id:064x}"
    category = chosen.choice([None, "report", "summary"])
    with transaction() as session:
        file = session.get_one(EntityFile, file_id)
        file.sha256, file.category = sha, category
        file.document_date = chosen.choice([None, day + timedelta(days=1)])
        index.put_documents(known.world.parts.registry, [file])
        for page, words in enumerate((text[:1], text[1:]), 1):
            session.add(PageText(sha256=sha, page=page, recipe=1, pages=2, source="text-layer", text=" ".join(words)))
        session.flush()
        index.put_texts(sha)
    of_document = written(file.document_date) if file.document_date else set()
    found |= parts(name) | parts(text) | of_document | {"txt"} | ({category} if category else set())
    if chosen.random() < 0.2:
        known.world.documents(email).trash(file_id)
    else:
        known.rows.append(
            Row(
                "document",
                kind,
                file_id,
                patient.id,
                file.dated_on,
                tuple(name),
                frozenset(found),
                "text/plain",
                category,
            )
        )


def expected(known: Family, email: str, wanted: SearchQuery) -> list[tuple[str, int]]:
    """Return kind and id of what the account should find, in order, by looking at every row."""
    asked = wanted.q.split()
    last = asked[-1]

    def has(term: str, words: Any) -> bool:
        return any(word.startswith(term) for word in words) if term == last and len(term) > 1 else term in words

    found = []
    for row in known.rows:
        if row.patient not in known.visible[email] or (wanted.patient or row.patient) != row.patient:
            continue
        rest = [term for term in asked if not has(term, known.names[row.patient])]
        needed = rest if rest and len(asked) > 1 else asked
        if not all(has(term, row.words) for term in needed):
            continue
        if wanted.type and row.type != wanted.type or wanted.category and row.category != wanted.category:
            continue
        if wanted.media and not (row.kind == "document" and wanted.media == "text"):
            continue
        is_dated = wanted.from_ or wanted.to
        if is_dated and (
            row.kind == "patient" or row.day < (wanted.from_ or date.min) or row.day > (wanted.to or date.max)
        ):
            continue
        title = [part for word in row.title for part in (word, *(word.split("-") if "-" in word else ()))]
        in_row = any(
            all(
                has(term, [word]) if term == last else term == word
                for term, word in zip(needed, title[at:], strict=False)
            )
            for at in range(len(title) - len(needed) + 1)
        )
        grade = 3 if in_row else 2 if all(has(term, title) for term in needed) else 1
        place = PLACES[row.type if row.kind == "record" else row.kind]
        found.append((grade, row.kind == "patient", row.day, place, row.id, row.kind))
    return [(kind, number) for *_, number, kind in sorted(found, reverse=True)]


def queries(known: Family, chosen: random.Random, count: int) -> Iterator[tuple[str, SearchQuery]]:
    vocabulary = [*WORDS, *OWN, "ella", "mira", "2018", "visit", "absent", "summary", "june"]
    for _ in range(count):
        words = [chosen.choice(vocabulary) for _ in range(chosen.choice([1, 1, 2, 2, 3]))]
        words[-1] = words[-1][: chosen.choice([2, 3, 20])]
        words = list(dict.fromkeys(words))
        bounds: dict[str, Any] = {}
        if chosen.random() < 0.4:
            bounds = chosen.choice(
                [
                    {"type": "visit"}, {"category": "report"}, {"media": "text"}, {"media": "pdf"},
                    {"from_": date(2019, 1, 1), "to": date(2019, 12, 31)}, {"from_": date(2019, 6, 1)},
                    {"patient": chosen.choice(list(known.names))},
                ]
            )  # fmt: skip
        yield chosen.choice(ACCOUNTS), SearchQuery(" ".join(words), **bounds)


def test_generated_searches_find_exactly_what_the_account_can_see(family: Family, extent: Extent) -> None:
    found_any = 0
    for email, wanted in queries(family, random.Random(extent.seed + 1), 5000 if extent.full else 80):
        service = family.service(email)
        items: list[Result] = []
        results: Results = service.search(wanted, 7)
        total, following = results.total, wanted
        items += results.items
        while results.next:
            following = replace(wanted, cursor=query.read_cursor(results.next))
            results = service.search(following, 7)
            items += results.items
        got = [(item.kind, item.subject_id) for item in items]
        assert got == expected(family, email, wanted), (email, wanted)
        assert total == len(got)
        assert all(item.patient.id in family.visible[email] for item in items)
        found_any += bool(got)
    assert found_any > 30


def test_words_of_others_are_found_nowhere_and_not_even_looked_up(family: Family) -> None:
    """What is shared is no longer foreign. Each term that is looked up carries the account or a shared patient."""
    hidden = 0
    for email in ACCOUNTS:
        visible = family.visible[email]
        for own in OWN:
            results = family.service(email).search(SearchQuery(own), 100)
            assert {item.patient.id for item in results.items} <= visible
            if not {row.patient for row in family.rows if own in row.words} & visible:
                assert results == Results()
                hidden += 1
        account = family.world.user(email).id
        owned = set(db.session.scalars(select(Patient.id).where(Patient.user_id == account)))
        shared = sorted(visible - owned)
        access = query._access(family.world.actor(email), None)
        assert access.scopes == [f"o{account}", *(f"p{number}" for number in shared)]
    assert hidden
    patient, other = min(family.visible[ACCOUNTS[0]]), max(family.visible[ACCOUNTS[0]])
    with_token = family.service(ACCOUNTS[0], patient)
    assert {item.patient.id for item in with_token.search(SearchQuery("sample"), 100).items} == {patient}
    assert with_token.search(SearchQuery("sample", patient=other), 100) == Results()


def test_the_number_of_statements_does_not_grow_with_the_hits(world: World, statements: Any) -> None:
    patient, counts = world.patient(), []
    service = SearchService(world.actor(), world.parts.registry, world.parts.storages)
    heard = statements()
    for number in range(2):
        for kind in ("visit", "procedure"):
            world.attach(world.record(kind, patient, notes="zebra"), "zebra.pdf")
        service.search(SearchQuery("zebra"), 50)
        del heard[:]
        assert len(service.search(SearchQuery("zebra"), 50).items) == 4 * (number + 1)
        counts.append(len([statement for statement in heard if statement.lstrip().startswith(("SELECT", "WITH"))]))
    assert counts[0] == counts[1] <= 10
