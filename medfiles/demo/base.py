"""What the demo family is made of, and the small words its facts are written with."""

from collections.abc import Callable
from dataclasses import dataclass
from datetime import date, timedelta
from functools import partial
from typing import Any

from medfiles.demo.letters import Part, Practice, letter

Make = Callable[[], bytes]


@dataclass(frozen=True)
class DemoDocument:
    """`make` gives the bytes of the file."""

    name: str
    category: str | None
    description: str | None
    make: Make


@dataclass(frozen=True)
class DemoRecord:
    """`type` is the name of an entity type; `fields` are the record's, named as in its form."""

    type: str
    fields: dict[str, Any]
    documents: tuple[DemoDocument, ...] = ()


@dataclass(frozen=True)
class DemoPatient:
    fields: dict[str, Any]
    records: tuple[DemoRecord, ...]


@dataclass(frozen=True)
class Person:
    """One of the family as the facts speak of them: `on` counts days back from today."""

    first_name: str
    today: date
    age: int
    days_since_birthday: int

    @property
    def name(self) -> str:
        return f"{self.first_name} Sample"

    @property
    def born(self) -> date:
        birthday = self.on(self.days_since_birthday)
        return date(birthday.year - self.age, birthday.month, min(birthday.day, 28))

    def on(self, days_ago: int) -> date:
        return self.today - timedelta(days=days_ago)

    def letter(self, practice: Practice, title: str, days_ago: int, *parts: Part) -> Make:
        return partial(letter, practice, title, self.name, self.born, self.on(days_ago), parts)

    def patient(self, gender: str, notes: str | None, *records: tuple[DemoRecord, ...]) -> DemoPatient:
        fields = {
            "first_name": self.first_name,
            "last_name": "Sample",
            "birth_date": self.born,
            "gender": gender,
            "notes": notes,
        }
        return DemoPatient(fields, tuple(record for kind in records for record in kind))


def record(kind: str, *documents: DemoDocument, **fields: Any) -> DemoRecord:
    return DemoRecord(kind, fields, documents)


lab = partial(record, "lab-result")
visit = partial(record, "visit")
procedure = partial(record, "procedure")
insurance = partial(record, "insurance")


def document(name: str, category: str | None, make: Make, description: str | None = None) -> DemoDocument:
    return DemoDocument(name, category, description, make)
