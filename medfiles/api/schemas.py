"""What goes over the wire as JSON: one model for each thing, the kinds' own made from the fields they declare."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import date, datetime
from functools import reduce
from operator import or_
from typing import Annotated, Any, Literal

from pydantic import AwareDatetime, BaseModel, ConfigDict, Field, RootModel, create_model

from medfiles import fields
from medfiles.entities import EntityType, Registry
from medfiles.fields import TEXT_LIMIT

LARGEST_ID = 2**63 - 1
MOST_IDS = 500
Id = Annotated[int, Field(ge=0, le=LARGEST_ID)]
Ids = Annotated[list[Id], Field(min_length=1, max_length=MOST_IDS)]
PATIENT_EXAMPLE: dict[str, Any] = {
    "first_name": "Ella",
    "last_name": "Sample",
    "birth_date": "2018-03-02",
    "gender": "Female",
}
FILE_EXAMPLE: dict[str, Any] = {
    "id": 1000000001, "entity_type": "visit", "entity_id": 7, "file_name": "Referral.pdf",
    "file_type": "application/pdf", "file_size": 48211, "sha256": "9f86d081884c7d659a2feaa0c55ad015"
    "a3bf4f1b2b0b822cd15d6c15b0f00a08", "description": "For the orthopaedist", "category": "referral",
    "uploaded_at": "2026-05-12T09:30:00Z", "created_at": "2026-05-12T09:30:00Z", "updated_at": "2026-05-12T09:30:00Z",
    "deleted_at": None, "uploaded_by": "maria@sample.example", "preview": True, "pages": 2,
}  # fmt: skip


class Out(BaseModel):
    """Something that is answered."""

    model_config = ConfigDict(from_attributes=True)


class In(BaseModel):
    """Something that is sent: nothing is guessed, and what is not known is refused."""

    model_config = ConfigDict(extra="forbid", strict=True)


class Wrong(BaseModel):
    """What is wrong with one field, or with one parameter of the address."""

    field: str
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
                    "detail": "This visit already holds 8 of 8 documents. Move one to the trash to make room.",
                }
            ]
        }
    )
    type: str
    title: str
    status: int
    code: str
    detail: str
    errors: list[Wrong] = []


class File(Out):
    """A document. Sizes in bytes, times in UTC; `file_type` is read from the bytes; `deleted_at`: since when in the
    trash; `uploaded_by`: an account's address; `pages`: null when that is not known. One of the older lab results
    that has not been moved yet has a number below 1,000,000,001 and neither `sha256` nor `uploaded_by`."""

    model_config = ConfigDict(json_schema_extra={"examples": [FILE_EXAMPLE]})
    id: int
    entity_type: str
    entity_id: int
    file_name: str
    file_type: str
    file_size: int
    sha256: str | None
    description: str | None
    category: str | None
    uploaded_at: datetime
    created_at: datetime
    updated_at: datetime
    deleted_at: datetime | None
    uploaded_by: str | None
    preview: bool
    pages: int | None


class Metadata(In):
    """What is absent stays as it is; null or "" clears. `file_name` keeps the ending it has."""

    model_config = ConfigDict(
        json_schema_extra={"examples": [{"description": "Signed by both parents", "category": "consent"}]}
    )
    description: str | None = Field(None, max_length=1000)
    category: str | None = None
    file_name: str = Field("", max_length=255)


class WhichCounts(In):
    model_config = ConfigDict(json_schema_extra={"examples": [{"entity_type": "visit", "entity_ids": [7, 8]}]})
    entity_type: str
    entity_ids: Ids


class Counts(Out):
    """Documents per record; records that are not there or not yours are left out."""

    model_config = ConfigDict(json_schema_extra={"examples": [{"counts": {"7": 2, "8": 0}}]})
    counts: dict[str, int]


class Bulk(In):
    """`category` is needed for the action of that name; null or "" clears it."""

    model_config = ConfigDict(
        json_schema_extra={"examples": [{"action": "delete", "file_ids": [1000000001, 1000000002]}]}
    )
    action: Literal["delete", "restore", "purge", "category"]
    file_ids: Ids
    category: str | None = None


class FileOutcome(Out):
    """How it went with one document: `status` is what a request about it alone would have had."""

    id: int
    status: int
    code: str
    detail: str


class Patient(Out):
    """`access` is what you may do: owner, edit or view."""

    model_config = ConfigDict(
        json_schema_extra={
            "examples": [{"id": 3, **PATIENT_EXAMPLE, "gender": "Female", "notes": None, "access": "owner"}]
        }
    )
    id: int
    first_name: str
    last_name: str
    birth_date: date
    gender: str | None
    notes: str | None
    access: Literal["owner", "edit", "view"]


class NewShare(In):
    """`expires_at`: the first moment without access; null: until it is taken back."""

    model_config = ConfigDict(
        json_schema_extra={"examples": [{"email": "otto@sample.example", "level": "view", "expires_at": None}]}
    )
    email: str = Field(min_length=1, max_length=255)
    level: Literal["view", "edit"]
    expires_at: AwareDatetime | None = None


class Share(Out):
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
    Problem, File, Files, Metadata, WhichCounts, Counts, Bulk, Outcomes, Patient, Patients, NewShare, Share, Shares,
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
    inputs = {kind.name: _input(f"{_word(kind)}Input", kind.fields) for kind in registry}
    outputs = {kind.name: _output(kind) for kind in registry}
    any_record = _one_of("Record", outputs.values(), "A record of the kind that the address names.")
    return Models(
        patient_input=_input("PatientInput", fields.PATIENT_FIELDS, PATIENT_EXAMPLE),
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


def _word(kind: EntityType) -> str:
    return kind.title.title().replace(" ", "")


def _input(name: str, declared: tuple[fields.Field, ...], example: Mapping[str, Any] | None = None) -> type[BaseModel]:
    members: dict[str, Any] = {field.name: _member(field) for field in declared}
    words = "What is absent is empty: all fields are replaced together."
    made: type[BaseModel] = create_model(name, __base__=In, __doc__=words, **members)
    made.model_config["json_schema_extra"] = {"examples": [dict(example or _example(declared))]}
    return made


def _output(kind: EntityType) -> type[BaseModel]:
    own = {field.name: (TYPES[field.kind] | None, ...) for field in kind.fields}
    around: dict[str, Any] = {
        "id": (int, ...),
        "entity_type": (Literal[kind.name], ...),
        "patient_id": (int, ...),
        "title": (str, ...),
        "file_count": (int, ...),
        "deleted_at": (datetime | None, ...),
    }
    members: dict[str, Any] = own | around
    return create_model(_word(kind), __base__=Out, **members)


def _member(field: fields.Field) -> Any:
    limit = {"string": field.limit, "text": TEXT_LIMIT}.get(field.kind)
    about = Field(title=field.label, max_length=limit, min_length=1 if limit and field.required else None)
    needed: Any = Annotated[TYPES[field.kind], about]
    return (needed, ...) if field.required else (needed | None, None)


def _example(declared: tuple[fields.Field, ...]) -> dict[str, Any]:
    words = {"string": "Something", "text": "Some words.", "date": "2026-05-12", "boolean": True, "object": {}}
    return {field.name: (field.choices or (words[field.kind],))[0] for field in declared if field.required}


TYPES: Mapping[str, Any] = {
    "string": str,
    "text": str,
    "date": date,
    "boolean": bool,
    "object": dict[str, str | None],
}
