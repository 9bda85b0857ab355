"""Patients as a whole: move to trash, restore, delete permanently, archive, export, merge; and the account's trash."""

from flask import Blueprint, Response, flash, redirect, render_template, request, url_for
from flask.typing import ResponseReturnValue

from medfiles.http import parameters, views
from medfiles.http.capacity import admit_archive
from medfiles.http.current import merges, photos, records, services
from medfiles.http.export import send_export
from medfiles.http.photo import receive_photo, send_photo
from medfiles.http.rate_limits import BULK, UPLOADS, rate_limited
from medfiles.http.security import csrf_outside_body
from medfiles.i18n import gettext
from medfiles.permissions import Action
from medfiles.web import notices, pages

blueprint = Blueprint("patients", __name__)


@blueprint.get("/trash")
def trash() -> ResponseReturnValue:
    contents = records().trash_contents()
    people = [views.patient_view(one, Action.OWN) for one in records().trashed_patients() if one.id in contents]
    days = services().trash_days
    return render_template("records/trash.html", people=people, contents=contents, days=days)


@blueprint.post("/patients/<int:patient_id>/delete")
def delete(patient_id: int) -> ResponseReturnValue:
    view = views.patient_view(records().delete_patient(patient_id), Action.OWN)
    message = gettext("%(name)s moved to trash with all records and documents.", name=view.name)
    notices.say(message, notices.undo_patient(patient_id, view.name))
    return redirect(url_for("records.home"), 303)


@blueprint.post("/patients/<int:patient_id>/restore")
def restore(patient_id: int) -> ResponseReturnValue:
    view = views.patient_view(records().restore_patient(patient_id), Action.OWN)
    notices.say(gettext("%(name)s restored with all records and documents.", name=view.name))
    return redirect(url_for("records.patient", patient_id=patient_id), 303)


@blueprint.get("/patients/<int:patient_id>/export")
@rate_limited(BULK)
def export(patient_id: int) -> Response:
    admit_archive()
    return send_export(records().export_patient(patient_id))


@blueprint.get("/patients/<int:patient_id>/photo")
def photo(patient_id: int) -> Response:
    return send_photo(patient_id)


@blueprint.post("/patients/<int:patient_id>/photo")
@rate_limited(UPLOADS)
@csrf_outside_body
def set_photo(patient_id: int) -> ResponseReturnValue:
    receive_photo(patient_id)
    flash(gettext("Photo saved."), "ok")
    return redirect(url_for("records.patient_profile", patient_id=patient_id), 303)


@blueprint.post("/patients/<int:patient_id>/photo/remove")
def remove_photo(patient_id: int) -> ResponseReturnValue:
    photos().remove(patient_id)
    flash(gettext("Photo removed."), "ok")
    return redirect(url_for("records.patient_profile", patient_id=patient_id), 303)


@blueprint.post("/patients/<int:patient_id>/archive")
def archive(patient_id: int) -> ResponseReturnValue:
    view = views.patient_view(records().archive_patient(patient_id), Action.OWN)
    notices.say(gettext("%(name)s archived.", name=view.name), notices.undo_archive(patient_id, view.name))
    return redirect(url_for("records.home"), 303)


@blueprint.post("/patients/<int:patient_id>/unarchive")
def unarchive(patient_id: int) -> ResponseReturnValue:
    view = views.patient_view(records().unarchive_patient(patient_id), Action.OWN)
    notices.say(gettext("%(name)s unarchived.", name=view.name))
    return redirect(url_for("records.patient", patient_id=patient_id), 303)


@blueprint.get("/patients/<int:patient_id>/merge")
def choose_merge(patient_id: int) -> ResponseReturnValue:
    return _merge_page(patient_id)


@blueprint.post("/patients/<int:patient_id>/merge")
def merge(patient_id: int) -> ResponseReturnValue:
    records().level(patient_id, Action.OWN, "merge-patient")
    into = parameters.id_or_unknown(request.form.get("into", ""))
    if into is None:
        return _merge_page(patient_id, 422)
    merged = merges().merge(patient_id, into)
    name = merged.patient.full_name
    message = gettext("All records and documents moved to %(name)s.", name=name)
    if merged.without_access:
        without = ", ".join(merged.without_access)
        message += " " + gettext("These people have no access to %(name)s: %(people)s.", name=name, people=without)
    notices.say(message)
    return redirect(url_for("records.patient", patient_id=into), 303)


def _merge_page(patient_id: int, status: int = 200) -> ResponseReturnValue:
    """Respond with the patients of one's own that a patient can be merged into."""
    records().level(patient_id, Action.OWN, "merge-patient")
    _, context = pages.patient_page(patient_id, "merge")
    owned = [entry for entry in records().patients() if entry.level == Action.OWN]
    others = [views.patient_view(one.patient, one.level) for one in owned if one.patient.id != patient_id]
    shown = [one for one in others if one.can_edit]
    return render_template("records/merge.html", people=shown, nothing_chosen=status != 200, **context), status


@blueprint.post("/patients/<int:patient_id>/purge")
def purge(patient_id: int) -> ResponseReturnValue:
    records().purge_patient(patient_id)
    flash(gettext("Deleted permanently."), "ok")
    return redirect(url_for(".trash"), 303)
