"""What goes over the wire as JSON: one model for each thing, the kinds' own made from the fields they declare."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import date, datetime
from functools import lru_cache, reduce
from operator import or_
from typing import Annotated, Any, Literal

from pydantic import AwareDatetime, BaseModel, ConfigDict, Field, RootModel, create_model

from medfiles.record_types import fields
from medfiles.record_types.declared import RecordType, Registry
from medfiles.record_types.fields import TEXT_LIMIT

LARGEST_ID = 2**63 - 1
MOST_IDS = 500
Id = Annotated[int, Field(ge=0, le=LARGEST_ID)]
Ids = Annotated[list[Id], Field(min_length=1, max_length=MOST_IDS)]
FILE_EXAMPLE: dict[str, Any] = {
    "id": 1000000001, "entity_type": "visit", "entity_id": 7, "file_name": "Referral.pdf",
    "file_type": "application/pdf", "file_size": 48211, "sha256": "9f86d081884c7d659a2feaa0c55ad015"
    "a3bf4f1b2b0b822cd15d6c15b0f00a08", "description": "For the orthopaedist", "category": "referral",
    "uploaded_at": "2026-05-12T09:30:00Z", "created_at": "2026-05-12T09:30:00Z", "updated_at": "2026-05-12T09:30:00Z",
    "deleted_at": None, "uploaded_by": "maria@sample.example", "preview": True, "pages": 2,
    "scan": None,
}  # fmt: skip


class Out(BaseModel):
    """Something that is answered."""

    model_config = ConfigDict(from_attributes=True)


class In(BaseModel):
    """Something that is sent: nothing is guessed, and what is not known is refused."""

    model_config = ConfigDict(extra="forbid", strict=True)


class Wrong(BaseModel):
    """What is wrong with one field, or with one parameter of the address."""

    model_config = ConfigDict(
        json_schema_extra={"examples": [{"field": "limit", "detail": "“limit” must be a number."}]}
    )
    field: str = Field(description="Its name; inside a list with its place: `file_ids.3`")
    detail: str


class Problem(BaseModel):
    """Every error, as RFC 9457 has it: `code` for programs, `detail` a sentence for people."""

    model_config = ConfigDict(
        json_schema_extra={
            "examples": [
                {
                    "type": "/api/v1/docs#too-many",
                    "title": "Not possible right now",
                    "status": 409,
                    "code": "too-many",
                    "detail": "This visit is full (8 of 8). Move a document to trash to make room.",
                }
            ]
        }
    )
    type: str = Field(description="Where this code is explained")
    title: str = Field(description="The status in words")
    status: int = Field(description="The HTTP status")
    code: str = Field(description="What went wrong, for programs")
    detail: str = Field(description="What went wrong and what to do, for people")
    errors: list[Wrong] = Field([], description="One for each field that is wrong; absent when that is not the matter")


class File(Out):
    """A document, without its bytes. Times are in UTC. One of the older lab results that has not been moved yet has a
    number below 1,000,000,001 and neither `sha256` nor `uploaded_by`."""

    model_config = ConfigDict(json_schema_extra={"examples": [FILE_EXAMPLE]})
    id: int = Field(description="From 1,000,000,001 on; never used again for another document")
    entity_type: str = Field(description="The kind of its record")
    entity_id: int = Field(description="Its record")
    file_name: str = Field(description="As its sender wrote it, in Unicode NFC, 1 to 255 characters")
    file_type: str = Field(description="The media type, read from the bytes")
    file_size: int = Field(description="In bytes")
    sha256: str | None = Field(description="Of the bytes, in lower-case hexadecimal")
    description: str | None
    category: str | None = Field(description="One of the kind’s own")
    uploaded_at: datetime
    created_at: datetime
    updated_at: datetime
    deleted_at: datetime | None = Field(description="Since when it is in the trash")
    uploaded_by: str | None = Field(description="The address of an account; null when that is gone")
    preview: bool = Field(description="Whether medfiles can show it")
    pages: int | None = Field(description="null when that is not known")
    scan: Literal["waiting", "infected"] | None = Field(
        description="“waiting”: a malware scan is still to come, and until then only its sender opens it; “infected”: "
        "one found something, and nobody does"
    )


class TextPreview(Out):
    """`note` says what is left out, where anything is."""

    model_config = ConfigDict(
        json_schema_extra={"examples": [{"kind": "text", "text": "Fasting glucose 5.1 mmol/l", "note": None}]}
    )
    kind: Literal["text"]
    text: str
    note: str | None


class HtmlPreview(Out):
    """Of a Word document: clean HTML without scripts, styles, links and pictures."""

    model_config = ConfigDict(
        json_schema_extra={"examples": [{"kind": "html", "html": "<p>Dear <b>Ella</b></p>", "note": None}]}
    )
    kind: Literal["html"]
    html: str
    note: str | None


class TablePreview(Out):
    """`rows` of the sheet that `page` counts, `sheets` the names of all that are shown."""

    model_config = ConfigDict(
        json_schema_extra={
            "examples": [
                {"kind": "table", "rows": [["Test", "Value"], ["HbA1c", "5.4"]], "sheets": ["Results"], "note": None}
            ]
        }
    )
    kind: Literal["table"]
    rows: list[list[str]]
    sheets: list[str]
    note: str | None


class Preview(RootModel[TextPreview | HtmlPreview | TablePreview]):
    """What has no pages to be drawn."""


class Metadata(In):
    """What is absent stays as it is; null or "" clears. `file_name` keeps the ending it has."""

    model_config = ConfigDict(
        json_schema_extra={"examples": [{"description": "Signed by both parents", "category": "consent"}]}
    )
    description: str | None = Field(None, max_length=1000)
    category: str | None = Field(None, description="One of the kind’s own")
    file_name: str = Field("", max_length=255, description="1 to 255 characters; the ending stays")


class WhichCounts(In):
    """Records of one kind."""

    model_config = ConfigDict(json_schema_extra={"examples": [{"entity_type": "visit", "entity_ids": [7, 8]}]})
    entity_type: str = Field(description="A kind of record, by name or plural")
    entity_ids: Ids


class Counts(Out):
    """Documents per record; records that are not there or not yours are left out."""

    model_config = ConfigDict(json_schema_extra={"examples": [{"counts": {"7": 2, "8": 0}}]})
    counts: dict[str, int] = Field(description="Number of the record → how many documents it has")


class Bulk(In):
    """`category` is needed for the action of that name; null or "" clears it."""

    model_config = ConfigDict(
        json_schema_extra={"examples": [{"action": "delete", "file_ids": [1000000001, 1000000002]}]}
    )
    action: Literal["delete", "restore", "purge", "category"]
    file_ids: Ids
    category: str | None = None


class FileOutcome(Out):
    """How it went with one document."""

    model_config = ConfigDict(
        json_schema_extra={"examples": [{"id": 1000000001, "status": 200, "code": "done", "detail": "Done."}]}
    )
    id: int
    status: int = Field(description="What a request about this document alone would have had")
    code: str = Field(description="`done`, or the code of an error")
    detail: str


class Patient(Out):
    """Somebody whose records are kept here."""

    model_config = ConfigDict(
        json_schema_extra={
            "examples": [
                {
                    "id": 3,
                    "first_name": "Ella",
                    "last_name": "Sample",
                    "birth_date": "2018-03-02",
                    "gender": "Female",
                    "notes": None,
                    "access": "owner",
                }
            ]
        }
    )
    id: int
    first_name: str
    last_name: str
    birth_date: date
    gender: str | None
    notes: str | None
    access: Literal["owner", "edit", "view"] = Field(description="What you may do")


class NewShare(In):
    """Access for another account of this installation."""

    model_config = ConfigDict(
        json_schema_extra={"examples": [{"email": "otto@sample.example", "level": "view", "expires_at": None}]}
    )
    email: str = Field(min_length=1, max_length=255)
    level: Literal["view", "edit"] = Field(description="view: look and download. edit: add, change and delete, too")
    expires_at: AwareDatetime | None = Field(
        None, description="The first moment without access; null: until it is taken back"
    )


class Share(Out):
    """Access that another account has."""

    model_config = ConfigDict(
        json_schema_extra={
            "examples": [
                {
                    "id": 5,
                    "patient_id": 3,
                    "email": "otto@sample.example",
                    "level": "view",
                    "created_at": "2026-05-12T09:30:00Z",
                    "expires_at": None,
                }
            ]
        }
    )
    id: int
    patient_id: int
    email: str
    level: Literal["view", "edit"]
    created_at: datetime
    expires_at: datetime | None


class Files(RootModel[list[File]]):
    """A page of documents."""


class Outcomes(RootModel[list[FileOutcome]]):
    """One for each document, in the order asked."""


class Patients(RootModel[list[Patient]]):
    """By name."""


class Shares(RootModel[list[Share]]):
    """By address."""


FIXED: Sequence[type[BaseModel]] = (
    Problem, File, Files, Preview, Metadata, WhichCounts, Counts, Bulk, Outcomes, Patient, Patients, NewShare, Share,
    Shares,
)  # fmt: skip


@dataclass(frozen=True)
class Models:
    """The models that depend on the kinds of records an installation has."""

    patient_input: type[BaseModel]
    inputs: Mapping[str, type[BaseModel]]
    outputs: Mapping[str, type[BaseModel]]
    record: type[BaseModel]  # one of any kind, as the document has it
    records: type[BaseModel]
    record_input: type[BaseModel]


def models_for(registry: Registry) -> Models:
    return _models(tuple(registry))


@lru_cache(maxsize=4)
def _models(kinds: tuple[RecordType, ...]) -> Models:
    inputs = {kind.name: _input(f"{_word(kind)}Input", kind.fields) for kind in kinds}
    outputs = {kind.name: _output(kind) for kind in kinds}
    any_record = _one_of("Record", outputs.values(), "A record of the kind that the address names.")
    return Models(
        patient_input=_input("PatientInput", fields.PATIENT_FIELDS),
        inputs=inputs,
        outputs=outputs,
        record=any_record,
        records=create_model("Records", __base__=RootModel[list[any_record]]),  # type: ignore[valid-type]
        record_input=_one_of("RecordInput", inputs.values(), "The fields of the kind that the address names."),
    )


def _one_of(name: str, members: Iterable[type[BaseModel]], words: str) -> type[BaseModel]:
    any_of: Any = RootModel[reduce(or_, members)]  # type: ignore[misc]
    made: type[BaseModel] = create_model(name, __base__=any_of, __doc__=words)
    return made


def _word(record_type: RecordType) -> str:
    return record_type.title.title().replace(" ", "")


def _input(name: str, declared: tuple[fields.Field, ...]) -> type[BaseModel]:
    members: dict[str, Any] = {field.name: _member(field) for field in declared}
    words = "What is absent is empty: all fields are replaced together."
    made: type[BaseModel] = create_model(name, __base__=In, __doc__=words, **members)
    made.model_config["json_schema_extra"] = {"examples": [_example(declared)]}
    return made


def _output(record_type: RecordType) -> type[BaseModel]:
    own = {field.name: (TYPES[field.kind] | None, Field(title=field.label)) for field in record_type.fields}
    around: dict[str, Any] = {
        "id": (int, ...),
        "entity_type": (Literal[record_type.name], ...),
        "patient_id": (int, ...),
        "title": (str, Field(description=f"What the record is called: its `{record_type.title_field}`")),
        "file_count": (int, Field(description="How many documents it has; in the trash, how many are there with it")),
        "deleted_at": (datetime | None, Field(description="Since when it is in the trash")),
    }
    members: dict[str, Any] = own | around
    made: type[BaseModel] = create_model(
        _word(record_type), __base__=Out, __doc__=f"A record of the kind {record_type.name}.", **members
    )
    made.model_config["json_schema_extra"] = {"examples": [_answered(record_type)]}
    return made


def _member(field: fields.Field) -> Any:
    limit = {"string": field.limit, "text": TEXT_LIMIT}.get(field.kind)
    about = Field(title=field.label, max_length=limit, min_length=1 if limit and field.required else None)
    needed: Any = Annotated[TYPES[field.kind], about]
    return (needed, ...) if field.required else (needed | None, None)


def _example(declared: tuple[fields.Field, ...]) -> dict[str, Any]:
    shown = [field for field in declared if field.required or field.example]
    return {field.name: field.example or (field.choices or (WORDS[field.kind],))[0] for field in shown}


def _answered(record_type: RecordType) -> dict[str, Any]:
    said = {field.name: False if field.kind == "boolean" else None for field in record_type.fields} | _example(
        record_type.fields
    )
    around = {"id": 7, "entity_type": record_type.name, "patient_id": 3, "title": said[record_type.title_field]}
    return around | said | {"file_count": 2, "deleted_at": None}


WORDS: Mapping[str, Any] = {
    "string": "Something",
    "text": "Some words.",
    "date": "2026-05-12",
    "boolean": True,
    "object": {},
}
TYPES: Mapping[str, Any] = {
    "string": str,
    "text": str,
    "date": date,
    "boolean": bool,
    "object": dict[str, str | None],
}
