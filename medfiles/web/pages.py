"""What the HTML doors share: views of patients, records and documents for this reader, and where to go next."""

from collections.abc import Mapping, Sequence
from typing import Any

from flask import Response, flash, g, redirect, request

from medfiles import accounts, present
from medfiles.entities import EntityType
from medfiles.htmx import fragment, is_htmx, trigger
from medfiles.http import actor, documents, parts, records
from medfiles.present import FilePresenter, FileView, Notice, Outcome, PatientView, RecordView


def file_views(files: Sequence[Any], *, titled: bool = False, names: Mapping[int, str] | None = None) -> list[FileView]:
    """Documents as this reader sees them; `titled` adds each one's record, `names` whose paper it is."""
    presenter = FilePresenter(
        registry=parts().registry,
        actor=actor(),
        trash_days=parts().trash_days,
        emails=accounts.emails([file.uploaded_by for file in files if file.uploaded_by]),
        titles=records().titles(files) if titled else {},
        names=names or {},
    )
    return [presenter(file) for file in files]


def patient_page(patient_id: int, tab: str) -> tuple[PatientView, dict[str, Any]]:
    """The patient and what every page about it shows around its content."""
    summary = records().patient(patient_id)
    patient = present.patient_view(summary.patient, summary.level)
    return patient, {"patient": patient, "tab": tab, "tabs": tabs(patient_id)}


def tabs(patient_id: int) -> tuple[Any, ...]:
    counts = records().counts(patient_id)
    return tuple((present.type_view(kind), counts[kind.name]) for kind in parts().registry)


def record_page(kind: EntityType, record_id: int) -> tuple[Any, RecordView]:
    """The record as it is stored and as it is shown."""
    record = records().get(kind, record_id)
    return record, shown(kind, record)


def shown(kind: EntityType, record: Any, count: int | None = None) -> RecordView:
    summary = records().patient(record.patient_id)
    g.patient = present.patient_view(summary.patient, summary.level)
    if count is None:
        count = documents().count(kind, [record.id]).get(record.id, 0)
    return present.record_view(kind, record, g.patient, count)


def panel(
    kind: EntityType,
    record: Any,
    view: RecordView,
    *,
    show_trash: bool = False,
    notice: Notice | None = None,
    outcomes: Sequence[Outcome] = (),
) -> present.PanelView:
    """The whole widget of one record."""
    live = documents().list(kind, record.id) if record.deleted_at is None else ()
    trashed = documents().list(kind, record.id, trashed=True) if view.can_edit else ()
    return present.panel_view(
        kind,
        view,
        file_views(live),
        file_views(trashed),
        show_trash=show_trash,
        notice=notice,
        outcomes=outcomes,
    )


def answer_manager(kind: EntityType, record_id: int, status: int = 200, **shown_in_it: Any) -> Response:
    """The manager as a fragment, or inside a page when it is opened by itself."""
    record, view = record_page(kind, record_id)
    template = "documents/_manager.html" if is_htmx() else "documents/page.html"
    return fragment(template, status, panel=panel(kind, record, view, **shown_in_it), patient=g.patient)


def answer_change(kind: EntityType, record_id: int, notice: Notice, **shown_in_it: Any) -> Response:
    """After a document changed: the manager for htmx, else back to where the form was."""
    if not is_htmx():
        flash(notice.message, "error" if notice.tone == "error" else "ok")
        return redirect(next_url(kind, record_id), 303)  # type: ignore[return-value]
    trash = request.form.get("view") == "trash"
    response = answer_manager(kind, record_id, notice=notice, show_trash=trash, **shown_in_it)
    return announce(response, kind, record_id)


def announce(response: Response, kind: EntityType, record_id: int) -> Response:
    """Tell the page that this record's documents changed, so that badges and lists ask again."""
    count = documents().count(kind, [record_id]).get(record_id, 0)
    return trigger(response, "documents:changed", type=kind.name, id=record_id, count=count)


def next_url(kind: EntityType, record_id: int) -> str:
    """The form's own `next` when it is a path of this app, else the manager."""
    wanted = request.form.get("next", "")
    if wanted.startswith("/") and not wanted.startswith("//") and "\\" not in wanted and wanted.isprintable():
        return wanted
    suffix = "/trash" if request.form.get("view") == "trash" else ""
    return f"/documents/{kind.name}/{record_id}{suffix}"
