"""Frozen views of patients, records and documents for templates and JSON, without storage keys or database rows."""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import date, datetime, timedelta
from itertools import islice
from operator import attrgetter
from typing import Any

from medfiles.accounts import service as accounts
from medfiles.antivirus.policy import INFECTED, WAITING, is_blocked
from medfiles.clock import now
from medfiles.documents.listing import ListQuery, Page
from medfiles.documents.service import RecordTotals
from medfiles.http.current import actor, records, services
from medfiles.i18n import N_, gettext, ngettext
from medfiles.models import EntityFile, Patient, RecordMixin
from medfiles.models.documents import FIRST_FILE_ID
from medfiles.permissions import Action
from medfiles.record_types.additional import Mark
from medfiles.record_types.declared import RecordType
from medfiles.record_types.document_fields import DOCUMENT_FIELDS
from medfiles.record_types.edits import version_of
from medfiles.record_types.fields import Field
from medfiles.record_types.media_types import WITH_THUMBNAIL, group_of
from medfiles.records.sharing import Grant, is_over
from medfiles.records.timeline import Entry
from medfiles.sandbox.render.spec import THUMBNAIL, Window, recipe
from medfiles.search.excerpts import Excerpt
from medfiles.search.service import Result
from medfiles.text import initials, split_extension

MOST_TOLD, MOST_LISTED = 3, 20  # most refused documents named in a header, and on a page
SHOWN_APART = ("file_name", "description", "category", "document_date")
UNCHANGED = (  # document attributes that the view copies
    *("id", "entity_type", "entity_id", "file_name", "file_type", "file_size", "sha256", "pages"),
    *("original_name", "renamed_from", "uploaded_at", "created_at", "updated_at", "deleted_at"),
    *("document_date_suggested", "to_file"),
)
ROW = (  # document attributes that the API lists, in its order
    *("id", "entity_type", "entity_id", "file_name", "original_name", "renamed_from", "file_type", "file_size"),
    *("sha256", *(field.name for field in DOCUMENT_FIELDS if field.name not in UNCHANGED)),
    *("document_date_suggested", "to_file"),
    *("uploaded_at", "created_at", "updated_at", "deleted_at", "uploaded_by", "pages", "scan"),
)
FILE_COLUMNS = [getattr(EntityFile, name) for name in ROW]


@dataclass(frozen=True)
class PatientView:
    id: int
    name: str  # "Maria Sample"
    first_name: str
    last_name: str
    initials: str  # "MS"
    birth_date: date
    gender: str | None
    allergies: str | None
    notes: str | None
    hue: int  # 1 to 8: the color that marks what belongs to the patient
    access: str  # owner | edit | view
    is_editor: bool  # has edit access: may see trash, activity and history
    can_edit: bool  # may edit the patient, and add and change records: an editor, unless the patient is archived
    archived_at: datetime | None
    deleted_at: datetime | None
    days_left: int | None  # in the trash: days until permanent deletion
    photo: str | None  # a word that changes with the photo; None if there is none
    pinned: bool = False
    number: int | None = None  # tells it apart from another patient with this name and birth date

    @property
    def has_photo(self) -> bool:
        return self.photo is not None and self.deleted_at is None


@dataclass(frozen=True)
class ShareView:
    """An account with access to a patient."""

    id: int
    email: str
    can_edit: bool
    last: datetime | None  # the last moment with access; None: until revoked
    over: bool
    pending: bool  # not accepted yet: `email` is what the owner typed


@dataclass(frozen=True)
class Fact:
    """A labeled value of a record: text or a date."""

    label: str
    value: str | date
    long: bool = False  # a paragraph rather than a word


@dataclass(frozen=True)
class RecordView:
    id: int
    type: RecordType
    patient: PatientView
    title: str
    date: date | None
    subtitle: str | None  # where or by whom: "Orthopaedics clinic"
    tags: tuple[str, ...]  # short words shown as chips: status, visit type
    file_count: int | None  # None if it is not shown
    deleted_at: datetime | None
    can_edit: bool
    values: dict[str, Any] = field(default_factory=dict)  # the raw fields, for forms and JSON

    @property
    def facts(self) -> Sequence[Fact]:
        """The fields that are shown as labeled values."""
        fields = self.type.fields
        return [fact for field in fields for fact in _facts(self.type, field, self.values[field.name], self.date)]


@dataclass(frozen=True)
class FileView:
    id: int
    entity_type: str  # "visit"
    entity_id: int
    type: RecordType  # of its record
    record_title: str | None  # set in lists that mix records
    patient: PatientView | None  # set in lists that mix patients
    file_name: str
    original_name: str | None  # as sent; None: not recorded
    renamed_from: str | None  # the original name if its extension did not fit the content
    stem: str  # name without extension
    label: str  # "PDF", "JPG": shown on the tile beside the name
    kind: str  # pdf | image | word | sheet | text | dicom: determines the tile's color
    file_type: str  # media type read from the bytes
    file_size: int  # bytes
    sha256: str | None  # None: not read yet
    details: Mapping[str, Any]  # keyed by the names of DOCUMENT_FIELDS
    category_label: str | None  # "Lab report"
    document_date_suggested: date | None  # found in the content, for a document without a date
    to_file: bool  # in the inbox
    named: PatientView | None  # another patient whom it names, if the reader can see that one
    uploaded_at: datetime
    uploaded_by: str | None  # "you", or an e-mail address
    created_at: datetime
    updated_at: datetime
    deleted_at: datetime | None
    days_left: int | None  # in the trash: days until permanent deletion
    pages: int | None
    preview: bool  # whether a preview is offered
    scan: str | None = None  # waiting | infected: state of the malware scan
    signature: str | None = None  # name of the malware found
    held: bool = False  # whether its scan state keeps this reader from opening it
    additional: Mark | None = None  # set for an additional document, which can only be downloaded

    @property
    def version(self) -> str:
        """Differs after every change."""
        return version_of(self)

    @property
    def description(self) -> str | None:
        return self.details["description"]  # type: ignore[no-any-return]

    @property
    def category(self) -> str | None:
        return self.details["category"]  # type: ignore[no-any-return]

    @property
    def document_date(self) -> date | None:
        return self.details["document_date"]  # type: ignore[no-any-return]

    @property
    def suggested_date(self) -> date | None:
        """The suggestion to confirm, if the document has no date."""
        return None if self.document_date or self.deleted_at else self.document_date_suggested

    @property
    def other_details(self) -> Sequence[tuple[str, Any]]:
        """Labels and values of the details that lists do not show separately."""
        others = [field for field in DOCUMENT_FIELDS if field.name not in SHOWN_APART]
        return [(field.label, self.details[field.name]) for field in others if self.details[field.name]]

    @property
    def thumbnail(self) -> str | None:
        """The URL of a thumbnail of the first page, or None if the document has no thumbnail."""
        is_drawn = self.file_type in WITH_THUMBNAIL and not (self.additional or self.held)
        return self.picture(THUMBNAIL) if is_drawn else None

    def picture(self, width: int, page: int = 1, window: Window | None = None) -> str:
        """Return the URL of a picture of a page. `width` must be one of WIDTHS in sandbox.render.spec."""
        return f"/documents/files/{self.id}/pictures/{self.sha256}-{recipe(width, window)}/{page}.webp"


@dataclass(frozen=True)
class EntryView:
    """A record in the timeline, and its newest documents that can be shown as pictures."""

    record: RecordView
    day: date
    pictured: Sequence[FileView]


@dataclass(frozen=True)
class ResultView:
    """A document, record or patient that a search found."""

    kind: str  # document | record | patient
    id: int
    title: str
    patient: PatientView
    day: date
    type: RecordType | None  # None for a patient
    record: RecordView | None  # the record, or the document's; None for a patient
    file: FileView | None
    excerpt: Excerpt | None  # the words around the hit; None if they are only in the title

    @property
    def dated(self) -> bool:
        """Whether `day` is a date of the content, rather than the day it was added."""
        if self.file is not None:
            return self.file.details.get("document_date") is not None
        return self.record is not None and self.record.date is not None


@dataclass(frozen=True)
class Outcome:
    """The result of uploading one file."""

    file_name: str
    stored: bool
    message: str  # "Added." or the reason and what to do
    code: str | None = None
    file: FileView | None = None
    lead: str = N_("%(name)s was not added.")  # with the file's name, before the message


def told(outcomes: Sequence[Outcome]) -> str:
    """Return one line for each of the first few outcomes, short enough for a header."""
    lines = [f"{outcome.file_name[:80]}: {outcome.message[:200]}" for outcome in outcomes[:MOST_TOLD]]
    left = len(outcomes) - len(lines)
    return "\n".join([*lines, ngettext("And %(num)s more.", "And %(num)s more.", left, num=left)] if left else lines)


@dataclass(frozen=True)
class Notice:
    """A sentence about the last action, with the documents that Undo restores."""

    message: str
    undo: tuple[int, ...] = ()
    tone: str = "ok"  # ok | error


@dataclass(frozen=True)
class PanelView:
    """The document widget for a record that exists or is about to be created."""

    type: RecordType
    record: RecordView | None  # None: not created yet
    patient: PatientView
    mode: str  # view | edit | create
    files: Sequence[FileView]  # one page of documents
    list_query: ListQuery  # the search, filters and sort order used
    hits: int | None  # number of matching documents; None on later pages
    choosable: int | None  # number of matching documents that can be selected
    next: str | None  # cursor of the next page
    count: int  # live documents, regardless of the search
    trash_count: int
    can_upload: bool
    can_edit: bool  # may edit, delete and restore documents
    can_download: bool
    can_preview: bool
    place: str = "manager"  # or "list", if it is shown on its own
    notice: Notice | None = None
    outcomes: Sequence[Outcome] = ()
    marked: Sequence[int] = ()  # in edit mode: documents to trash when the record is saved
    at: float = 0  # that of the totals: if responses overtake each other, the latest wins
    editing: int | None = None  # the document whose details are being edited, without JavaScript
    draft: Any = None  # its details as `web.edits.Draft`, if they could not be saved

    @property
    def dom_id(self) -> str:
        """The prefix of all ids in the widget, such as "mf-manager-visit-7"."""
        return f"mf-{self.place}-{self.type.name}-{self.record.id if self.record else 'new'}"

    @property
    def free(self) -> int:
        """The number of documents that can still be added to the record."""
        return max(0, self.type.max_files - self.count)

    @property
    def general(self) -> RecordType | None:
        """The type of the patient's general documents, which take what this record does not."""
        general = services().registry.patient
        return general if self.type is not general and "upload" in general.operations else None

    @property
    def show_trash(self) -> bool:
        return self.list_query.trashed


def patient_view(patient: Patient, level: Action) -> PatientView:
    return PatientView(
        id=patient.id,
        name=f"{patient.first_name} {patient.last_name}",
        first_name=patient.first_name,
        last_name=patient.last_name,
        initials=initials(f"{patient.first_name} {patient.last_name}"),
        birth_date=patient.birth_date,
        gender=patient.gender,
        allergies=patient.allergies,
        notes=patient.notes,
        hue=patient.hue,
        access=level.value,
        is_editor=level != Action.VIEW,
        can_edit=level != Action.VIEW and patient.archived_at is None,
        archived_at=patient.archived_at,
        deleted_at=patient.deleted_at,
        days_left=_days_left(patient.deleted_at),
        photo=patient.photo_key.rpartition("/")[2][:8] if patient.photo_key else None,
        pinned=patient.is_pinned,
        number=patient.id if patient.has_namesake else None,
    )


def _days_left(deleted_at: datetime | None) -> int | None:
    """Return the days until the permanent deletion of what is in the trash since then."""
    if deleted_at is None:
        return None
    left = deleted_at + timedelta(days=services().trash_days) - now()
    return min(max(0, math.ceil(left / timedelta(days=1))), services().trash_days)


def share_view(grant: Grant) -> ShareView:
    ends = grant.share.expires_at
    last = ends - timedelta(seconds=1) if ends else None  # access ends at midnight, so the day before is the last
    return ShareView(
        id=grant.share.id,
        email=grant.email,
        can_edit=grant.share.level == Action.EDIT,
        last=last,
        over=is_over(grant.share),
        pending=grant.share.accepted_at is None,
    )


def record_view(
    record_type: RecordType, record: RecordMixin, patient: PatientView, file_count: int | None = None
) -> RecordView:
    values = {field.name: getattr(record, field.name) for field in record_type.fields}
    shown = (values.get(name) for name in record_type.subtitle_fields)
    dated = record_type.date_of(record)
    return RecordView(
        id=record.id,
        type=record_type,
        patient=patient,
        title=record_type.title_of(record),
        date=dated,
        subtitle=next(filter(None, shown), None),
        tags=tuple(str(values[name]) for name in record_type.tag_fields if values[name]),
        file_count=file_count,
        deleted_at=record.deleted_at,
        can_edit=patient.can_edit,
        values=values,
    )


def _facts(record_type: RecordType, field: Field, value: Any, dated: date | None) -> Sequence[Fact]:
    above = {record_type.title_field, *record_type.tag_fields}
    if value in (None, "", False) or field.name in above or (field.name in record_type.date_fields and value == dated):
        return ()
    if field.kind == "object":
        labels = dict(field.parts)
        return [
            Fact(gettext(labels.get(name, name.capitalize())), str(part), len(str(part)) > 60)
            for name, part in value.items()
        ]
    if value is True:
        return (Fact(field.label, gettext("Yes")),)
    return (Fact(field.label, value, field.kind == "text"),)


def entry_views(entries: Sequence[Entry], patient: PatientView) -> list[EntryView]:
    pictured = iter(file_views([file for entry in entries for file in entry.pictured]))
    return [
        EntryView(
            record=record_view(entry.record_type, entry.record, patient, entry.documents),
            day=entry.day,
            pictured=tuple(islice(pictured, len(entry.pictured))),
        )
        for entry in entries
    ]


def result_views(results: Sequence[Result], *, you: str = N_("you")) -> list[ResultView]:
    people = {result.patient.id: patient_view(result.patient, result.level) for result in results}
    documents = [result.file for result in results if result.file]
    files = {file.id: file for file in file_views(documents, you=you, people=people)}
    found = []
    for result in results:
        patient, record = people[result.patient.id], None
        if result.record_type and result.record:
            record = record_view(result.record_type, result.record, patient)
        found.append(
            ResultView(
                kind=result.kind, id=result.subject_id, title=result.title, patient=patient, day=result.day,
                type=result.record_type, record=record, file=files[result.file.id] if result.file else None,
                excerpt=result.excerpt,
            )
        )  # fmt: skip
    return found


def panel_view(
    record_type: RecordType,
    record: RecordView,
    page: Page,
    files: Sequence[FileView],
    totals: RecordTotals,
    *,
    mode: str = "view",
    **context: Any,
) -> PanelView:
    changeable = record.can_edit and record.deleted_at is None
    return PanelView(
        type=record_type,
        record=record,
        patient=record.patient,
        mode=mode if changeable else "view",
        files=files,
        hits=page.hits,
        choosable=None if page.hits is None else page.hits - page.additional,
        next=page.next,
        count=totals.live,
        trash_count=totals.trashed,
        at=totals.at,
        can_upload=changeable and "upload" in record_type.operations,
        can_edit=changeable and "delete" in record_type.operations,
        can_download="download" in record_type.operations,
        can_preview="preview" in record_type.operations,
        **context,
    )


def empty_panel(record_type: RecordType, patient: PatientView) -> PanelView:
    """Return the widget for a record that is not saved yet. Selected files are uploaded once the record is saved."""
    return PanelView(
        type=record_type, record=None, patient=patient, mode="create", files=(), list_query=ListQuery(),
        hits=0, choosable=0, next=None, count=0, trash_count=0,
        can_upload="upload" in record_type.operations, can_edit=True, can_download=False, can_preview=False,
    )  # fmt: skip


def file_views(
    files: Sequence[Any], *, you: str = N_("you"), titled: bool = False, people: Mapping[int, PatientView] | None = None
) -> list[FileView]:
    """Return views for the current reader; `titled` adds record titles, `people` the patients."""
    reader, registry = actor(), services().registry
    emails = _senders(files, gettext(you))
    titles = records().titles(files) if titled else {}
    named = _named(files)

    def view(file: EntityFile) -> FileView:
        record_type, (stem, suffix) = registry[file.entity_type], split_extension(file.file_name)
        additional = registry.additional.mark if file.is_additional else None
        held = not additional and is_blocked(file, reader.user_id)
        return FileView(
            **{name: getattr(file, name) for name in UNCHANGED},
            type=record_type,
            record_title=titles.get((file.entity_type, file.entity_id)),
            patient=(people or {}).get(file.patient_id),
            named=named.get(file.named_patient_id or 0) if _names_another(file) else None,
            stem=stem,
            label=suffix[1:].upper() or gettext("FILE"),
            kind=group_of(file.file_type),
            details={field.name: getattr(file, field.name) for field in DOCUMENT_FIELDS},
            category_label=record_type.category_label(file.category) if file.category else None,
            uploaded_by=emails.get(file.uploaded_by or 0),
            days_left=_days_left(file.deleted_at),
            preview="preview" in record_type.operations and not (additional or held),
            scan=file.scan if file.scan in (WAITING, INFECTED) else None,
            signature=file.scan_words if file.scan == INFECTED else None,
            held=held,
            additional=additional,
        )

    return [view(file) for file in files]


def file_rows(files: Sequence[Any]) -> list[dict[str, Any]]:
    """Return documents, or rows of FILE_COLUMNS, as the API lists them: a list of thousands needs no views."""
    reader, registry = actor(), services().registry
    emails, values = _senders(files, reader.email), attrgetter(*ROW)
    with_preview = {each.name for each in registry.every if "preview" in each.operations}

    def row(file: Any) -> dict[str, Any]:
        listed = dict(zip(ROW, values(file) if isinstance(file, EntityFile) else file, strict=False))
        is_additional, sender, scan = listed["id"] < FIRST_FILE_ID, listed["uploaded_by"], listed["scan"]
        held = scan is not None and not is_additional and is_blocked(file, reader.user_id)
        listed["uploaded_by"] = emails.get(sender or 0)
        listed["scan"] = scan if scan in (WAITING, INFECTED) else None
        listed["preview"] = listed["entity_type"] in with_preview and not (is_additional or held)
        return listed

    return [row(file) for file in files]


def _names_another(file: EntityFile) -> bool:
    return file.deleted_at is None and file.named_patient_id != file.patient_id


def _named(files: Sequence[Any]) -> dict[int, PatientView]:
    """Return the patients whom the documents name instead of their own, except archived ones."""
    ids = {file.named_patient_id for file in files if file.named_patient_id}
    found = records().people_of(ids) if ids else ()
    active = (entry for entry in found if entry.patient.archived_at is None)
    return {entry.patient.id: patient_view(entry.patient, entry.level) for entry in active}


def _senders(files: Sequence[Any], reader_is: str) -> dict[int, str]:
    """Return the addresses of the accounts that uploaded the documents; the reader is named as given."""
    own = actor().user_id
    others = {file.uploaded_by for file in files if file.uploaded_by} - {own}
    return {**(accounts.emails(others) if others else {}), own: reader_is}
