"""Notices: one sentence about the last action, with a form that undoes it."""

from collections.abc import Sequence
from dataclasses import asdict, dataclass

from flask import flash, url_for

from medfiles.i18n import gettext, ngettext
from medfiles.record_types.declared import RecordType


@dataclass(frozen=True)
class Undo:
    """A form that undoes the last action."""

    action: str  # URL that the form is submitted to
    label: str  # for screen readers, such as "restore Referral.pdf"
    fields: Sequence[tuple[str, str]] = ()
    in_place: bool = False  # whether the response can replace the notice instead of the page


def say(message: str, undo: Undo | None = None) -> None:
    """Show the message on the next page."""
    flash(notice(message, undo), "ok")  # type: ignore[arg-type]  # stored as JSON


def notice(message: str, undo: Undo | None = None) -> dict[str, object]:
    return {"message": message, "undo": asdict(undo) if undo else None}


def undo_patient(patient_id: int, name: str) -> Undo:
    return Undo(url_for("patients.restore", patient_id=patient_id), gettext("restore %(name)s", name=name))


def undo_archive(patient_id: int, name: str) -> Undo:
    return Undo(url_for("patients.unarchive", patient_id=patient_id), gettext("unarchive %(name)s", name=name))


def undo_record(record_type: RecordType, record_id: int, title: str) -> Undo:
    action = url_for("records.record_restore", type=record_type, id=record_id)
    return Undo(action, gettext("restore %(name)s", name=title), in_place=True)


def undo_document(file_id: int, name: str) -> Undo:
    return Undo(url_for("documents.restore", file_id=file_id), gettext("restore %(name)s", name=name))


def undo_filing(ids: Sequence[int]) -> Undo:
    """Return a form that takes documents back from where they were filed."""
    label = ngettext("file %(num)s document", "file %(num)s documents", len(ids), num=len(ids))
    return Undo(url_for("inbox.file"), label, (("action", "undo:" + ",".join(map(str, ids))),))


def undo_documents(record_type: RecordType, record_id: int, ids: Sequence[int]) -> Undo:
    """Return a form that restores these documents of a record."""
    action = url_for("documents.bulk", type=record_type, id=record_id)
    fields = (("action", "restore"), ("file_ids", ",".join(map(str, ids))))
    return Undo(
        action, ngettext("restore %(num)s document", "restore %(num)s documents", len(ids), num=len(ids)), fields
    )
