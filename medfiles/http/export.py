"""Send a patient's export: one ZIP with a folder for each record, and an index page."""

from collections.abc import Sequence
from dataclasses import dataclass
from urllib.parse import quote

from flask import Response, render_template

from medfiles.clock import now
from medfiles.documents.bulk import Bundle
from medfiles.documents.zip_archive import Member, folder_names, placed, portable
from medfiles.http import views
from medfiles.http.responses import send_archive
from medfiles.http.views import FileView, RecordView
from medfiles.records.exporting import Export, ExportedRecord

INDEX = "index.html"


@dataclass(frozen=True)
class ListedDocument:
    """A document on the index page. `href` is its place in the archive; None if it is missing."""

    file: FileView
    href: str | None


@dataclass(frozen=True)
class ListedRecord:
    """A record on the index page, or None as `record` for the patient's own documents."""

    record: RecordView | None
    documents: Sequence[ListedDocument]


@dataclass(frozen=True)
class Section:
    """The records of one type on the index page, in a folder of the same name."""

    title: str
    records: Sequence[ListedRecord]


def send_export(export: Export) -> Response:
    """Stream the archive. Its index page lists every record, with links to the documents in the archive."""
    members = _placed(export)
    index = _index(export, members).encode()
    page = Member(INDEX, len(index), now(), lambda: iter([index]))
    return send_archive(Bundle(f"{export.patient.full_name} {now().date()}", [page, *members], []))


def _placed(export: Export) -> Sequence[Member]:
    """Return the documents with their folders: one for each record, within one for each record type."""
    titles = [_title(record) for record in export.records]
    of_type: dict[str, list[int]] = {}
    for place, record in enumerate(export.records):
        of_type.setdefault(record.record_type.name, []).append(place)
    folders = [""] * len(titles)
    for places in of_type.values():
        kind = portable(_heading(export, export.records[places[0]]))
        for place, name in zip(places, folder_names([titles[place] for place in places]), strict=True):
            folders[place] = f"{kind}/{name}"
    members = [
        Member(content.file.file_name, content.file.file_size, content.file.uploaded_at, content.read, folder)
        for record, folder in zip(export.records, folders, strict=True)
        for content in record.documents
    ]
    return placed(members)


def _heading(export: Export, exported: ExportedRecord) -> str:
    kind = exported.record_type
    return kind.heading if exported.record is export.patient else kind.titles


def _title(exported: ExportedRecord) -> str:
    """Return the folder's name, which begins with the date, so that folders are in the order of time."""
    title, day = exported.record_type.title_of(exported.record), exported.record_type.date_of(exported.record)
    return f"{day} {title}" if day else title


def _index(export: Export, members: Sequence[Member]) -> str:
    patient = views.patient_view(export.patient, export.level)
    files = [content.file for content in export.documents]
    absent = [file for record in export.records for file in record.missing]
    shown = iter(views.file_views(files))
    lost = iter(views.file_views(absent))
    paths = iter(member.path for member in members)
    sections: dict[str, list[ListedRecord]] = {}
    for exported in export.records:
        documents = [ListedDocument(next(shown), quote(next(paths))) for _ in exported.documents]
        documents += [ListedDocument(next(lost), None) for _ in exported.missing]
        record = None
        if exported.record is not export.patient:
            record = views.record_view(exported.record_type, exported.record, patient, len(documents))
        sections.setdefault(_heading(export, exported), []).append(ListedRecord(record, documents))
    listed = [Section(title, records) for title, records in sections.items()]
    return render_template("records/export.html", patient=patient, sections=listed, at=now())
