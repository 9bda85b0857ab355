"""The form of the inbox: a row of fields per document, and the button that was pressed."""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any, NamedTuple

from medfiles.http import parameters
from medfiles.inbox.service import Choice

ROWS = 50  # documents on a page


class Place(NamedTuple):
    """A record in a list of records, as "3/visit/7"."""

    patient_id: int
    type: str
    id: int

    def __str__(self) -> str:
        return f"{self.patient_id}/{self.type}/{self.id}"


@dataclass(frozen=True)
class FormRow:
    """What the form says about a document. `suggested` is the record that was suggested, `changed` a new patient."""

    file_id: int
    patient_id: int
    place: Place | None
    suggested: str
    category: str
    suggested_category: str
    document_date: str
    file_name: str
    picked: bool

    @property
    def is_clear(self) -> bool:
        """Whether a record of the chosen patient is chosen."""
        return self.place is not None and self.place.patient_id == self.patient_id

    @property
    def choice(self) -> Choice:
        if not self.is_clear or self.place is None or str(self.place) == self.suggested:
            return Choice(self.patient_id)
        return Choice(self.patient_id, (self.place.type, self.place.id))

    def details(self, categories: Collection[str]) -> dict[str, Any]:
        """Return the changes to the document's details. A category that the record does not have is left out."""
        found: dict[str, Any] = {"document_date": self.document_date}
        if self.category in categories or not self.category:
            found["category"] = self.category or None
        if self.file_name:
            found["file_name"] = self.file_name
        return found


@dataclass(frozen=True)
class Form:
    """The submitted rows, and the `action` of the button. `scope` is the patient of the page, None for all."""

    action: str
    scope: int | None
    rows: Sequence[FormRow]
    into: Place | None = None
    to_all: int | None = None
    new_type: str = ""
    new_title: str = ""
    new_date: str = ""
    key: str | None = None
    next: str = ""
    by_id: Mapping[int, FormRow] = field(default_factory=dict)

    @property
    def picked(self) -> Sequence[FormRow]:
        return [row for row in self.rows if row.picked]

    @property
    def choices(self) -> Mapping[int, Choice]:
        return {row.file_id: row.choice for row in self.rows}


def read(sent: Any) -> Form:
    """Parse the form. Anything that is no id or place is left out, so that it is chosen again."""
    picked = {number for text in sent.getlist("pick") if (number := parameters.read_id(text))}
    shown = [number for text in sent.getlist("file_ids") if (number := parameters.read_id(text))]
    rows = [_row(sent, number, picked) for number in dict.fromkeys(shown[:ROWS])]
    key = sent.get("key", "")
    after = sent.get("next", "")
    return Form(
        action=sent.get("action", "file"), scope=parameters.id_or_unknown(sent.get("scope")), rows=rows,
        into=place(sent.get("into", "")), to_all=parameters.read_id(sent.get("to_all")),
        new_type=sent.get("new_type", ""), new_title=sent.get("new_title", ""),
        new_date=sent.get("new_date", ""), key=key if key.isascii() and 0 < len(key) <= 64 else None,
        next=after if after.startswith("/") and not after.startswith("//") and "\\" not in after else "",
        by_id={row.file_id: row for row in rows},
    )  # fmt: skip


def place(text: str) -> Place | None:
    patient_id, _, record = text.partition("/")
    name, _, record_id = record.partition("/")
    ids = parameters.read_ids([patient_id, record_id])
    return Place(ids[0], name, ids[1]) if ids else None


def changed(form: Form, action: str, about: str) -> Form:
    """Return the form after another patient was chosen for one document, or for all that are selected."""
    file_id, _, patient_id = about.partition("-")
    to = form.to_all if action == "patient" else parameters.read_id(patient_id)
    if action == "switch" and to is not None:
        chosen = {parameters.read_id(file_id)}
    elif action == "patient" and to is not None:
        chosen = {row.file_id for row in form.picked}
    else:
        return form
    rows = [replace(row, patient_id=to, picked=True) if row.file_id in chosen else row for row in form.rows]
    return replace(form, rows=rows, by_id={row.file_id: row for row in rows})


def _row(sent: Any, file_id: int, picked: Collection[int]) -> FormRow:
    def value(name: str) -> str:
        return str(sent.get(f"{name}-{file_id}", ""))

    return FormRow(
        file_id, parameters.read_id(value("patient")) or 0, place(value("record")), value("suggested"),
        value("category"), value("suggested_category"), value("document_date"), value("file_name"), file_id in picked,
    )  # fmt: skip
