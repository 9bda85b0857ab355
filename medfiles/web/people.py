"""People with access to a patient: invite, change, revoke, leave; and accept or decline an invitation."""

from collections.abc import Mapping
from datetime import datetime, timedelta
from typing import Any
from zoneinfo import ZoneInfo

from flask import Blueprint, flash, redirect, render_template, request, url_for
from flask.typing import ResponseReturnValue
from wtforms import DateField, EmailField, HiddenField, RadioField, SelectChoice  # type: ignore[attr-defined]  # newer than its stubs
from wtforms.validators import InputRequired, Length, Optional

from medfiles.clock import is_zone, midnight
from medfiles.errors import Archived, EditConflict, Rejected
from medfiles.http import parameters, views
from medfiles.http.current import actor, shares
from medfiles.http.errors import status_of
from medfiles.http.views import ShareView
from medfiles.i18n import N_, gettext
from medfiles.permissions import Action
from medfiles.records.sharing import Grant
from medfiles.web import edits, forms, pages
from medfiles.web.filters import day
from medfiles.web.forms import ServiceForm

blueprint = Blueprint("people", __name__)
WORDS = ((Action.VIEW.value, N_("Can view")), (Action.EDIT.value, N_("Can edit")))
LEVELS = [
    SelectChoice(Action.VIEW.value, N_("Can view: see and download everything")),
    SelectChoice(Action.EDIT.value, N_("Can edit: also add, change and delete records and documents")),
]
UTC = "UTC"
SECOND = timedelta(seconds=1)


class ShareForm(ServiceForm):
    email = EmailField(
        N_("Email"),
        [InputRequired(N_("Enter an email address.")), Length(max=255)],
        description=N_("The email this person uses to sign in here"),
        render_kw={"maxlength": 255, "autocomplete": "off"},
    )
    level = RadioField(N_("Permission"), choices=LEVELS, default=Action.VIEW.value)
    expires_at = DateField(
        N_("Access ends (optional)"),
        [Optional()],
        description=N_("The last day of access. Leave empty for no end date."),
        render_kw={"min": "2020-01-01", "max": "2200-12-31"},
    )
    zone = HiddenField(default=UTC, render_kw={"data-mf-zone-name": True})
    was: dict[str, str]


@blueprint.get("/patients/<int:patient_id>/people")
def people(patient_id: int) -> ResponseReturnValue:
    _, context = pages.patient_page(patient_id, "people")
    grants = _grants(patient_id)
    changing = next((entry for entry in grants if str(entry.id) == request.args.get("change")), None)
    context |= {"changing": changing, "clashes": ()}
    return render_template("records/people.html", people=grants, form=_form(changing), **context)


@blueprint.post("/patients/<int:patient_id>/people")
def change(patient_id: int) -> ResponseReturnValue:
    if "remove" in request.form:
        return _revoke(patient_id, parameters.id_or_unknown(request.form["remove"]) or 0)
    patient, context = pages.patient_page(patient_id, "people")
    grants, form = _grants(patient_id), _form(None)
    if patient.archived_at:
        raise Archived()
    if saved := form.submit(lambda: _share(patient_id, form)):
        grant, new = saved
        message = N_("%(email)s was invited.") if new else N_("Access for %(email)s changed.")
        flash(gettext(message, email=grant.email), "ok")
        return redirect(url_for(".people", patient_id=patient_id), 303)
    before = _before()
    changing = next((entry for entry in _grants(patient_id) if before and entry.email == form.email.data), None)
    context |= {"changing": changing, "clashes": edits.clashes_of(form)}
    return render_template("records/people.html", people=grants, form=form, **context), form.http_status


@blueprint.post("/invitations/<int:share_id>/accept")
def accept(share_id: int) -> ResponseReturnValue:
    grant = shares().accept(share_id)
    flash(gettext("Invitation accepted. You now have access."), "ok")
    return redirect(url_for("records.patient", patient_id=grant.share.patient_id), 303)


@blueprint.post("/invitations/<int:share_id>/decline")
def decline(share_id: int) -> ResponseReturnValue:
    shares().decline(share_id)
    flash(gettext("Invitation declined."), "ok")
    return redirect(url_for("records.home"), 303)


def own_share(patient: views.PatientView) -> int | None:
    """Return the id of the user's own share; None for the owner."""
    share = shares().own(patient.id) if patient.access != Action.OWN else None
    return share.id if share else None


def _grants(patient_id: int) -> list[ShareView]:
    return [views.share_view(grant) for grant in shares().list(patient_id)]


def _form(changing: ShareView | None) -> ShareForm:
    if changing is None:
        form = ShareForm()
        form.was = forms.submitted(("level", "expires_at"), edits.WAS)
        return form
    level = Action.EDIT if changing.can_edit else Action.VIEW
    last = changing.last.date() if changing.last and not changing.over else None
    form = ShareForm(data={"email": changing.email, "level": level.value, "expires_at": last, "zone": UTC})
    form.was = _was(level, changing.last and changing.last + SECOND)
    if changing.over:
        del form.was["expires_at"]  # the form starts without an end date
    return form


def _was(level: str, ends: datetime | None) -> dict[str, str]:
    """Return the hidden fields, which record the values that a form was filled with."""
    return {"level": level, "expires_at": ends.isoformat() if ends else ""}


def _before() -> dict[str, Any]:
    """Return the values that the form for an existing share was filled with."""
    sent = forms.submitted(("level", "expires_at"), edits.WAS)
    try:
        return {name: _moment(value) if name == "expires_at" else value for name, value in sent.items()}
    except ValueError:
        raise Rejected(gettext("was_expires_at must be a time with a zone.")) from None


def _moment(text: str) -> datetime | None:
    return datetime.fromisoformat(text).astimezone(ZoneInfo(UTC)) if text else None


def _ends(form: Any, before: Mapping[str, Any]) -> datetime | None:
    """Return the first moment without access, which stays exactly the same if the day was left alone."""
    zone = form.zone.data if is_zone(form.zone.data) else UTC
    earlier, last = before.get("expires_at"), form.expires_at.data
    if earlier and last in {_last(earlier).astimezone(ZoneInfo(each)).date() for each in (zone, UTC)}:
        return earlier  # type: ignore[no-any-return]
    return midnight(last + timedelta(days=1), zone) if last else None


def _last(ends: datetime) -> datetime:
    return ends - SECOND


def _share(patient_id: int, form: Any) -> tuple[Grant, bool] | None:
    """Return the share and whether it is new; None if there is a conflict."""
    before = _before()
    values = {"level": form.level.data, "expires_at": _ends(form, before)}
    try:
        wanted = edits.resolved(values, before)
        return shares().grant(patient_id, form.email.data, wanted["level"], wanted["expires_at"], before=before)
    except EditConflict as conflict:
        _show_conflict(patient_id, form, values, before, conflict)
        return None


def _show_conflict(
    patient_id: int, form: Any, values: Mapping[str, Any], before: Mapping[str, Any], conflict: EditConflict
) -> None:
    """Show the current values of unchanged fields, and both values of each field that two tabs changed."""
    current = next(grant.share for grant in shares().list(patient_id) if grant.email == form.email.data)
    form.error_status, form.was = status_of(conflict), _was(current.level, current.expires_at)
    mine = edits.drafted(values, before)
    if "level" not in mine:
        form.level.data = current.level
    if "expires_at" not in mine:
        form.expires_at.data = _last(current.expires_at).date() if current.expires_at else None
    theirs = {
        "level": gettext(dict(WORDS)[current.level]),
        "expires_at": day(_last(current.expires_at)) if current.expires_at else gettext("No end date"),
    }
    for name in conflict.conflicts:
        form[name].clash = edits.clash(name, name, theirs[name], {})


def _revoke(patient_id: int, share_id: int) -> ResponseReturnValue:
    grant = shares().revoke(share_id, patient_id)
    if grant.share.user_id == actor().user_id:
        flash(gettext("You left. You no longer have access."), "ok")
        return redirect(url_for("records.home"), 303)
    pending = grant.share.accepted_at is None
    message = N_("Invitation for %(email)s revoked.") if pending else N_("Access for %(email)s revoked.")
    flash(gettext(message, email=grant.email), "ok")
    return redirect(url_for(".people", patient_id=patient_id), 303)
