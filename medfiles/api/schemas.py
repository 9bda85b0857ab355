"""Request and response models, with descriptions and examples for the OpenAPI document."""

from collections.abc import Iterable, Mapping
from datetime import date, datetime
from functools import lru_cache, reduce
from operator import or_
from typing import Annotated, Any, Literal

from pydantic import AwareDatetime, BaseModel, ConfigDict, Field, RootModel, create_model

from medfiles.documents.listing import SEARCH_LIMIT, SORTS
from medfiles.http.parameters import CURSOR_LIMIT, LARGEST_ID
from medfiles.record_types import fields
from medfiles.record_types.declared import RecordType
from medfiles.record_types.document_fields import FILTER_FIELDS, UPLOAD_FIELDS, DocumentField
from medfiles.record_types.media_types import GROUPS
from medfiles.sandbox.encodings import NAMES as ENCODINGS
from medfiles.sandbox.render.spec import WIDTHS

MOST_IDS = 500
Ids = Annotated[list[Annotated[int, Field(ge=0, le=LARGEST_ID)]], Field(min_length=1, max_length=MOST_IDS)]
DAY, TIME, ETAG = "2026-05-12", "2026-05-12T09:30:00Z", '"20260512T093000.000000"'
SHA256 = "9f86d081884c7d659a2feaa0c55ad015a3bf4f1b2b0b822cd15d6c15b0f00a08"
WINDOW = r"^-?[0-9]{1,7}(\.[0-9]{1,3})?,[0-9]{1,7}(\.[0-9]{1,3})?$"


def doc(description: str | None = None, *examples: Any, default: Any = ..., **more: Any) -> Any:
    """Declare a field with its description and examples, if any."""
    return Field(default, description=description, examples=list(examples) or None, **more)


def optional(description: str | None = None, *examples: Any, **more: Any) -> Any:
    """Declare an optional field."""
    return doc(description, *examples, default=None, **more)


def _gather_example(schema: dict[str, Any]) -> None:
    """Build a model's example from the examples of its fields."""
    _drop_null_defaults(schema)
    found = schema["properties"].items()
    schema["examples"] = [{name: field.pop("examples")[0] for name, field in found if "examples" in field}]


def _drop_null_defaults(schema: dict[str, Any]) -> None:
    """Drop null defaults: here, they mean "absent", which is not always the same as null."""
    for field in schema["properties"].values():
        if field.get("default", "") is None:
            del field["default"]


class Out(BaseModel):
    """Base of response models."""

    model_config = ConfigDict(from_attributes=True, json_schema_extra=_gather_example)


class In(BaseModel):
    """Base of request models: nothing is coerced, unknown fields are rejected."""

    model_config = ConfigDict(extra="forbid", strict=True, json_schema_extra=_gather_example)


class Parameters(BaseModel):
    """Base of query parameters and headers. These models only describe them; `http.parameters` parses them."""

    model_config = ConfigDict(json_schema_extra=_drop_null_defaults)


class Wrong(Out):
    """What is wrong with one field or query parameter."""

    field: str = doc("Its name, followed by the position if it is in a list: `file_ids.3`", "limit")
    detail: str = doc(None, "“limit” must be a number.")


class Problem(Out):
    """An error as RFC 9457 defines it: `code` for programs, `detail` a sentence for people."""

    type: str = doc("Where this code is explained", "/api/v1/docs#too-many")
    title: str = doc("The status in words", "Not possible right now")
    status: int = doc("The HTTP status", 409)
    code: str = doc("What went wrong, for programs", "too-many")
    detail: str = doc(
        "What went wrong and what to do, for people",
        "This visit is full (8 of 8). Move a document to trash to make room.",
    )
    errors: list[Wrong] = doc("One for each wrong field; absent when no field is at fault", default=[])


def _details(declared: Iterable[DocumentField], about: str, *, sent: bool = True, null: bool = False) -> dict[str, Any]:
    """Return a model's fields for document details. In a request (`sent`), each field is optional."""
    members: dict[str, Any] = {}
    for field in declared:
        type_: Any = Annotated[date, Field(strict=False)] if field.kind == "date" else str  # forms contain only text
        limit = field.limit if sent and field.kind in ("string", "text") else None
        examples = [field.example or None] if field.example or not sent else []
        default = None if sent else ...
        described = doc(about.format(field.about), *examples, default=default, max_length=limit)
        members[field.name] = (type_ | None if null else type_, described)
    return members


class _FileStart(Out):
    id: int = doc("From 1,000,000,001; never reused", 1000000001)
    entity_type: str = doc("The type of its record", "visit")
    entity_id: int = doc("Its record", 7)
    file_name: str = doc(
        "As sent, in Unicode NFC, 1 to 255 characters, with an extension that fits the content", "Referral.pdf"
    )
    original_name: str | None = doc("The name as it was sent; null if it was not recorded", "Referral.pdf")
    renamed_from: str | None = doc("`original_name`, if its extension was missing or did not fit the content", None)
    file_type: str = doc("The media type, read from the bytes", "application/pdf")
    file_size: int = doc("In bytes", 48211)
    sha256: str | None = doc("SHA-256 of the bytes, in lowercase hexadecimal", SHA256)


_FileDetails: Any = create_model(
    "_FileDetails", __base__=_FileStart, **_details(UPLOAD_FIELDS, "{}", sent=False, null=True)
)


class File(_FileDetails):  # type: ignore[misc]
    """A document, without its bytes. Times are in UTC. A document of the older lab results that has not been moved yet
    has an id below 1,000,000,001 and neither `sha256` nor `uploaded_by`."""

    document_date_suggested: date | None = doc(
        "A date found in its content, its name or the file, for a document without `document_date`", None
    )
    to_file: bool = doc("Whether it is in the inbox: stored as a document of the patient, but not filed yet", False)
    uploaded_at: datetime = doc(None, TIME)
    created_at: datetime = doc(None, TIME)
    updated_at: datetime = doc(None, TIME)
    deleted_at: datetime | None = doc("When it was moved to the trash", None)
    uploaded_by: str | None = doc("The account's email; null if the account no longer exists", "maria@sample.example")
    pages: int | None = doc("null when unknown", 2)
    scan: Literal["waiting", "infected"] | None = doc(
        "“waiting”: not scanned for malware yet, and only its uploader can open it; “infected”: malware was found, and "
        "it cannot be opened",
        None,
    )
    preview: bool = doc("Whether medfiles can preview it", True)


class TextPreview(Out):
    """The text of a document. `note` says what is left out, if anything."""

    kind: Literal["text"] = doc(None, "text")
    text: str = doc(None, "Fasting glucose 5.1 mmol/l")
    note: str | None = doc(None, None)


class WordBox(Out):
    """A word and its place: left, top, width and height as fractions of the page."""

    text: str = doc(None, "Glucose")
    box: tuple[float, float, float, float] = doc(None, (0.1, 0.2, 0.08, 0.015))


class PageText(Out):
    """The text of a page. `words` is empty if their places are not known, as in a Word document."""

    page: int = doc("Counted from 1", 1)
    pages: int = doc("1 for documents without pages", 2)
    source: Literal["text-layer", "ocr", "none"] = doc(
        "Where the text comes from: stored in the file, recognized in the picture of the page, or there is none",
        "text-layer",
    )
    text: str = doc(None, "Glucose 5.1 mmol/l")
    words: list[WordBox] = doc(None, [])
    failure: Literal["no-engine", "locked", "damaged", "unsupported", "timeout", "crashed"] | None = doc(
        "Why there is no text, or not all of it; no-engine: text recognition is not installed", None
    )


class HtmlPreview(Out):
    """A Word document as clean HTML, without scripts, styles, links and images."""

    kind: Literal["html"] = doc(None, "html")
    html: str = doc(None, "<p>Dear <b>Ella</b></p>")
    note: str | None = doc(None, None)


class TablePreview(Out):
    """The `rows` of sheet number `page`; `sheets` names all sheets that can be shown."""

    kind: Literal["table"] = doc(None, "table")
    rows: list[list[str]] = doc(None, [["Test", "Value"], ["HbA1c", "5.4"]])
    sheets: list[str] = doc(None, ["Results"])
    note: str | None = doc(None, None)


class Preview(RootModel[TextPreview | HtmlPreview | TablePreview]):
    """The preview of a document that has no pages to draw."""


Metadata: type[BaseModel] = create_model(
    "Metadata",
    __base__=In,
    __doc__='Absent fields stay as they are; null or "" clears. `file_name` keeps its extension.',
    **_details(UPLOAD_FIELDS, "{}", null=True),
    file_name=(str, doc("1 to 255 characters; the extension cannot be changed", default="", max_length=255)),
)
UploadForm: type[BaseModel] = create_model(
    "UploadForm",
    __base__=Out,
    __doc__="An upload as a form.",
    file=(bytes, doc("The document, with its name; one per request", "%PDF-1.7 …")),
    **_details(UPLOAD_FIELDS, "{}"),
    to_file=(bool, doc("1: for the inbox; only for documents of a patient", default=False)),
)


class WhichCounts(In):
    """Records of one type."""

    entity_type: str = doc("A record type, by name or plural", "visit")
    entity_ids: Ids = doc(None, [7, 8])


class Counts(Out):
    """Documents per record. Records that do not exist or are not yours are left out."""

    counts: dict[str, int] = doc("Record id → number of documents", {"7": 2, "8": 0})


class Bulk(In):
    """One action for many documents. The actions `category` and `document_date` need the field of that name, where null
    clears; `move` needs `to_type` and `to_id`."""

    action: Literal["delete", "restore", "purge", "category", "document_date", "move", "take-back"] = doc(
        None, "delete"
    )
    file_ids: Ids = doc(None, [1000000001, 1000000002])
    category: str | None = None
    document_date: Annotated[date, Field(strict=False)] | None = None
    to_type: str | None = optional("For `move`: the type of the record")
    to_id: int | None = optional("For `move`: the record, or the patient if the type is `patient`")


class MoveTo(In):
    """The record that a document is moved to."""

    to_type: str = doc("The record type, or `patient`", "procedure")
    to_id: int = doc("The record, or the patient if the type is `patient`", 12)


class NewPatient(In):
    """The patient that a record is moved to."""

    patient_id: int = doc(None, 4)


class MovedFile(File):
    """A document after a move."""

    category_cleared: str | None = doc("The category it had, if its new record does not have it", None)


class FileOutcome(Out):
    """The result for one document."""

    id: int = doc(None, 1000000001)
    status: int = doc("The status that a request for this document alone would have returned", 200)
    code: str = doc("`done`, or the code of an error", "done")
    detail: str = doc(None, "Done.")


class Patient(Out):
    """A person whose records are kept here."""

    id: int = doc(None, 3)
    first_name: str = doc(None, "Ella")
    last_name: str = doc(None, "Sample")
    birth_date: date = doc(None, "2018-03-02")
    gender: str | None = doc(None, "Female")
    allergies: str | None = doc(None, "Penicillin")
    notes: str | None = doc(None, None)
    hue: int = doc("The number of the color that marks the patient", 3)
    access: Literal["owner", "edit", "view"] = doc("Your permission", "owner")
    archived_at: datetime | None = doc("When it was archived: hidden from the home page and read-only since then", None)
    pinned: bool = doc("Whether it comes first in the lists of your account", False)
    deleted_at: datetime | None = doc("When it was moved to the trash", None)


class Into(In):
    """The patient that another one is merged into."""

    into: int = doc(None, 4)


class MergedPatient(Out):
    """The result of a merge. The other patient, now empty, is in the trash."""

    patient_id: int = doc("The patient who has everything now", 4)
    records: int = doc("The number of records that were moved, with those in the trash", 12)
    documents: int = doc("The number of documents that were moved, with those in the trash", 40)
    without_access: list[str] = doc(
        "The email addresses with access to the patient in the trash, but not to the other one", ["otto@sample.example"]
    )


class SearchHit(Out):
    """A document, record or patient that was found. `file` is only set for a document."""

    kind: Literal["document", "record", "patient"] = doc(None, "document")
    id: int = doc("Of the document, record or patient", 1000000001)
    entity_type: str | None = doc("The type of the record, or of the document's record; null for a patient", "visit")
    title: str = doc(None, "MRI report.pdf")
    patient_id: int = doc(None, 3)
    day: date | None = doc("The document date or the record's date; without one, the day it was added", "2019-06-20")
    snippet: str | None = doc("The text around the words; null if they are only in the title", "MRI of 20 June 2019")
    highlights: list[list[int]] = doc("Start and end of each word in `snippet`", [[0, 3], [15, 19]])
    page: int | None = doc("The page that `snippet` is from", 1)
    boxes: list[list[float]] = doc(
        "`x, y, width, height` of each word on the page, as fractions of the page; empty if they are not known",
        [[0.08, 0.15, 0.09, 0.04]],
    )
    file: File | None = doc("The document", None)


class SearchResults(Out):
    """A page of search results, the best first."""

    items: list[SearchHit] = doc(None, [])
    total: int | None = doc("The number of hits on all pages; null on later pages", 1)
    next: str | None = doc("`cursor` of the next page", None)


class PatientsQuery(Parameters):
    trashed: Literal["0", "1"] = optional("1: your own patients in the trash instead, the last deleted first", "0")
    pinned: Literal["0", "1"] = optional("1: only pinned patients", "0")
    cursor: str = optional("Where the page starts: from the `Link` of the previous page", max_length=CURSOR_LIMIT)
    limit: int = doc("Patients per page", 1000, default=1000, ge=1, le=1000)


class NewShare(In):
    """Access for the account with this email address, once it accepts."""

    email: str = doc(None, "otto@sample.example", min_length=1, max_length=255)
    level: Literal["view", "edit"] = doc("view: view and download. edit: also add, change and delete", "view")
    expires_at: AwareDatetime | None = optional("The first moment without access; null: until revoked", None)


class Share(Out):
    """The access of another account, pending until it accepts."""

    id: int = doc(None, 5)
    patient_id: int = doc(None, 3)
    email: str = doc(None, "otto@sample.example")
    level: Literal["view", "edit"] = doc(None, "view")
    created_at: datetime = doc(None, TIME)
    expires_at: datetime | None = doc(None, None)
    accepted_at: datetime | None = doc("null while pending", TIME)
    token_id: int | None = doc("The API token that gave it; null: a person", None)


class Invitation(Out):
    """Access that this account has been offered but has not accepted."""

    id: int = doc(None, 5)
    patient: str = doc("The patient's name", "Ella Sample")
    owner: str = doc("The email address of the patient's owner", "nora@sample.example")
    level: Literal["view", "edit"] = doc(None, "view")
    created_at: datetime = doc(None, TIME)
    expires_at: datetime | None = doc(None, None)


def root(name: str, content: Any, about: str) -> type[RootModel[Any]]:
    return create_model(name, __base__=RootModel[content], __doc__=about)


Files = root("Files", list[File], "A page of documents.")
Outcomes = root("Outcomes", list[FileOutcome], "One for each document, in the order of the request.")
Patients = root("Patients", list[Patient], "Sorted by name.")
Shares = root("Shares", list[Share], "Sorted by email address.")
Invitations = root("Invitations", list[Invitation], "Newest first.")
_FilterQuery: Any = create_model("_FilterQuery", __base__=Parameters, **_details(FILTER_FIELDS, "{}, or none"))


class FilesQuery(_FilterQuery):  # type: ignore[misc]
    q: str = optional("Words that must all occur in the name or description", "knee", max_length=SEARCH_LIMIT)
    media: str = optional("The kind of file", "pdf", json_schema_extra={"enum": ["", *GROUPS]})
    from_: date = optional("First day of upload, in `zone`; in the trash, of deletion", "2026-05-01", alias="from")
    to: date = optional("Last day of upload, in `zone`; in the trash, of deletion", "2026-05-31")
    date_field: Literal["", "uploaded", "document"] = optional(
        "document: `from` and `to` are document dates; one without counts as dated on the day of its upload", "document"
    )
    zone: str = optional("Time zone of the days. Default: UTC", "Europe/Berlin")
    sort: str = optional("Default: date", "name", json_schema_extra={"enum": ["", *SORTS]})
    order: Literal["", "asc", "desc"] = optional("Default: newest, largest or A first", "asc")
    cursor: str = optional("Where the page starts: from the `Link` of the previous page", max_length=CURSOR_LIMIT)
    trashed: Literal["0", "1"] = optional("1: documents in the trash instead; requires edit access", "0")
    limit: int = doc("Documents per page", 50, default=50, ge=1, le=1000)


UploadQuery: type[BaseModel] = create_model(
    "UploadQuery",
    __base__=Parameters,
    **_details(UPLOAD_FIELDS, "For raw bytes. {}"),
    to_file=(int, optional("1: for the inbox; only for documents of a patient", 0, ge=0, le=1)),
)


class SearchQuery(Parameters):
    q: str = optional(
        "Words that must all occur; the last one may be incomplete. At least two letters", "mri 2019",
        max_length=SEARCH_LIMIT,
    )  # fmt: skip
    patient: int = optional("Only this patient", 3, ge=0, le=LARGEST_ID)
    type: str = optional("Only records of this type and their documents", "visit")
    category: str = optional("Only documents of this category", "report")
    media: str = optional("Only documents of this kind of file", "pdf", json_schema_extra={"enum": ["", *GROUPS]})
    from_: date = optional("First day of the document or record", "2019-01-01", alias="from")
    to: date = optional("Last day of the document or record", "2019-12-31")
    cursor: str = optional("Where the page starts: `next` of the previous page", max_length=CURSOR_LIMIT)
    limit: int = doc("Hits per page", 20, default=20, ge=1, le=100)


class DownloadQuery(Parameters):
    direct: Literal["0", "1"] = optional(
        "1: a redirect to the object store if the installation supports it; otherwise the bytes", "0"
    )


class ArchiveQuery(Parameters):
    ids: str = doc(
        "Document ids, comma-separated, up to 500", "1000000001,1000000002", pattern=r"^[0-9]{1,18}(,[0-9]{1,18})*$"
    )


class PreviewQuery(Parameters):
    page: int = doc("Which page, frame or sheet, counted from 1", 1, default=1, ge=1, le=999_999)
    width: int = doc(
        "The maximum width of the picture in pixels", 960, default=960, json_schema_extra={"enum": [*WIDTHS]}
    )
    window: str = optional("For DICOM: center and width in the image's own values", "40,400", pattern=WINDOW)
    retry: Literal["0", "1"] = optional("1: try again if an earlier attempt took too long", "0")
    encoding: str = optional(
        "For text: the encoding to use instead of a guessed one", "cp1252", json_schema_extra={"enum": [*ENCODINGS]}
    )


class TextQuery(Parameters):
    page: int = doc("Which page, counted from 1", 1, default=1, ge=1, le=999_999)


class CacheHeaders(Parameters):
    etag: str = optional("The `ETag` you have: 304 if it is still current", ETAG, alias="If-None-Match")


class DownloadHeaders(CacheHeaders):
    range: str = optional("A part of the document", "bytes=0-1023", alias="Range")
    if_range: str = optional(
        "The `ETag` of the part you have: the whole document if it differs", '"9f86d081884c7d65"', alias="If-Range"
    )


class EditHeaders(Parameters):
    etag: str = optional("The `ETag` you last received: 412 if it has changed since then", ETAG, alias="If-Match")


class UploadHeaders(Parameters):
    key: str = optional(
        "A key you choose for this upload, 1 to 255 characters: a retry with it stores no second document",
        "scan-2026-05-12-1", alias="Idempotency-Key",
    )  # fmt: skip
    disposition: str = optional(
        "For raw bytes: the name", "attachment; filename*=UTF-8''Referral.pdf", alias="Content-Disposition"
    )


FIELD_TYPES: Mapping[str, tuple[Any, Any]] = {  # type and example of a declared field, by its kind
    "string": (str, "Something"),
    "text": (str, "Some words."),
    "date": (date, DAY),
    "boolean": (bool, True),
    "object": (dict[str, str | None], {}),
    "choice": (int, 1),
}


@lru_cache(maxsize=4)
def models_for(record_types: tuple[RecordType, ...]) -> Mapping[str, type[BaseModel]]:
    """Return the models that depend on the record types, by name: "Visit", "VisitInput", "VisitChanges" …

    "Record", "RecordInput" and "RecordChanges" stand for a record of any type, and "Records" for a list of records.
    """
    outputs = [_output(record_type) for record_type in record_types]
    inputs = [_input(input_name(record_type), record_type.fields) for record_type in record_types]
    changes = [_changes(changes_name(record_type), record_type.fields) for record_type in record_types]
    record: Any = root("Record", reduce(or_, outputs), "A record of the type in the URL.")
    records = root("Records", list[record], "Newest first.")
    record_input = root("RecordInput", reduce(or_, inputs), "The fields of the type in the URL.")
    record_changes = root("RecordChanges", reduce(or_, changes), "Fields of the type in the URL.")
    patient_input = _input("PatientInput", fields.PATIENT_FIELDS)
    patient_changes = _changes("PatientChanges", fields.PATIENT_FIELDS)
    of_patients = (patient_input, patient_changes)
    every = (*outputs, *inputs, *changes, record, records, record_input, record_changes, *of_patients)
    return {model.__name__: model for model in every}


def output_name(record_type: RecordType) -> str:
    return record_type.title.title().replace(" ", "")


def input_name(record_type: RecordType) -> str:
    return f"{output_name(record_type)}Input"


def changes_name(record_type: RecordType) -> str:
    return f"{output_name(record_type)}Changes"


def _input(name: str, declared: tuple[fields.Field, ...]) -> type[BaseModel]:
    members: dict[str, Any] = {field.name: _member(field, ... if field.required else None) for field in declared}
    return create_model(name, __base__=In, __doc__="Absent fields are empty.", **members)


def _changes(name: str, declared: tuple[fields.Field, ...]) -> type[BaseModel]:
    members: dict[str, Any] = {field.name: _member(field, None) for field in declared}
    about = 'Absent fields stay as they are; null or "" clears.'
    return create_model(name, __base__=In, __doc__=about, **members)


def _member(field: fields.Field, default: Any) -> tuple[Any, Any]:
    """Return the type and description of a model's field."""
    limit = {"string": field.limit, "text": fields.TEXT_LIMIT}.get(field.kind)
    numbers = [number for number, _ in field.options]
    about = Field(
        title=field.label,
        max_length=limit,
        min_length=1 if limit and field.required else None,
        ge=min(numbers, default=None),
        le=max(numbers, default=None),
    )
    value: Any = Annotated[FIELD_TYPES[field.kind][0], about]
    examples = [_example(field)] if field.required or field.example else []
    never_null = field.required or field.assigned
    return (value if never_null else value | None), doc(_meaning(field), *examples, default=default)


def _meaning(field: fields.Field) -> str | None:
    """Return what the numbers of a choice stand for: "1 terracotta, 2 ochre"."""
    meaning = ", ".join(f"{number} {label.lower()}" for number, label in field.options)
    return f"{meaning}; a new one is assigned the least used" if field.assigned else meaning or None


def _output(record_type: RecordType) -> type[BaseModel]:
    members: dict[str, Any] = {}
    for field in record_type.fields:
        empty = False if field.kind == "boolean" else None
        example = _example(field) if field.required or field.example else empty
        members[field.name] = (FIELD_TYPES[field.kind][0] | None, doc(_meaning(field), example, title=field.label))
    title = next(field for field in record_type.fields if field.name == record_type.title_field)
    members |= {
        "id": (int, doc(None, 7)),
        "entity_type": (Literal[record_type.name], doc(None, record_type.name)),
        "patient_id": (int, doc(None, 3)),
        "title": (str, doc(f"What the record is called: its `{title.name}`", _example(title))),
        "file_count": (int, doc("Number of documents; of a record in the trash, those in the trash with it", 2)),
        "deleted_at": (datetime | None, doc("When it was moved to the trash", None)),
    }
    about = f"A record of type {record_type.name}."
    return create_model(output_name(record_type), __base__=Out, __doc__=about, **members)


def _example(field: fields.Field) -> Any:
    return field.example or (field.choices or (FIELD_TYPES[field.kind][1],))[0]
