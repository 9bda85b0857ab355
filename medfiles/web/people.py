"""People with access to a patient: invite, change, revoke, leave; and accept or decline an invitation."""

from datetime import timedelta
from typing import Any

from flask import Blueprint, flash, redirect, render_template, request, url_for
from flask.typing import ResponseReturnValue
from wtforms import DateField, EmailField, HiddenField, RadioField, SelectChoice  # type: ignore[attr-defined]  # newer than its stubs
from wtforms.validators import InputRequired, Length, Optional

from medfiles.clock import is_zone, midnight
from medfiles.http import parameters, views
from medfiles.http.current import actor, shares
from medfiles.http.views import ShareView
from medfiles.permissions import Action
from medfiles.records.sharing import Grant
from medfiles.web import pages
from medfiles.web.forms import ServiceForm

blueprint = Blueprint("people", __name__)
LEVELS = [
    SelectChoice(Action.VIEW.value, "Can view: see and download everything"),
    SelectChoice(Action.EDIT.value, "Can edit: also add, change and delete records and documents"),
]
UTC = "UTC"


class ShareForm(ServiceForm):
    email = EmailField(
        "Email",
        [InputRequired("Enter the email."), Length(max=255)],
        description="The email this person signs in with here",
        render_kw={"maxlength": 255, "autocomplete": "off"},
    )
    level = RadioField("Permission", choices=LEVELS, default=Action.VIEW.value)
    expires_at = DateField(
        "Access ends (optional)",
        [Optional()],
        description="Last day of access. Empty: no end date.",
        render_kw={"min": "2020-01-01", "max": "2200-12-31"},
    )
    zone = HiddenField(default=UTC, render_kw={"data-mf-zone-name": True})


@blueprint.get("/patients/<int:patient_id>/people")
def people(patient_id: int) -> ResponseReturnValue:
    _, context = pages.patient_page(patient_id, "people")
    grants = _grants(patient_id)
    changing = next((entry for entry in grants if str(entry.id) == request.args.get("change")), None)
    return render_template("records/people.html", people=grants, form=_form(changing), changing=changing, **context)


@blueprint.post("/patients/<int:patient_id>/people")
def change(patient_id: int) -> ResponseReturnValue:
    if "remove" in request.form:
        return _revoke(patient_id, parameters.id_or_unknown(request.form["remove"]) or 0)
    _, context = pages.patient_page(patient_id, "people")
    grants, form = _grants(patient_id), ShareForm()
    if saved := form.submit(lambda: _share(patient_id, form)):
        grant, new = saved
        flash(f"{grant.email} is invited." if new else f"Access of {grant.email} changed.", "ok")
        return redirect(url_for(".people", patient_id=patient_id), 303)
    return render_template("records/people.html", people=grants, form=form, changing=None, **context), form.http_status


@blueprint.post("/invitations/<int:share_id>/accept")
def accept(share_id: int) -> ResponseReturnValue:
    grant = shares().accept(share_id)
    flash("Invitation accepted. You now have access.", "ok")
    return redirect(url_for("records.patient", patient_id=grant.share.patient_id), 303)


@blueprint.post("/invitations/<int:share_id>/decline")
def decline(share_id: int) -> ResponseReturnValue:
    shares().decline(share_id)
    flash("Invitation declined.", "ok")
    return redirect(url_for("records.home"), 303)


def own_share(patient: views.PatientView) -> int | None:
    """Return the id of the reader's own share; None for the owner."""
    share = shares().own(patient.id) if patient.access != Action.OWN else None
    return share.id if share else None


def _grants(patient_id: int) -> list[ShareView]:
    return [views.share_view(grant) for grant in shares().list(patient_id)]


def _form(changing: ShareView | None) -> ShareForm:
    if changing is None:
        return ShareForm()
    level = Action.EDIT if changing.can_edit else Action.VIEW
    last = changing.last.date() if changing.last and not changing.over else None
    return ShareForm(data={"email": changing.email, "level": level.value, "expires_at": last, "zone": UTC})


def _share(patient_id: int, form: Any) -> tuple[Grant, bool]:
    zone = form.zone.data if is_zone(form.zone.data) else UTC
    ends = midnight(form.expires_at.data + timedelta(days=1), zone) if form.expires_at.data else None
    return shares().grant(patient_id, form.email.data, form.level.data, ends)


def _revoke(patient_id: int, share_id: int) -> ResponseReturnValue:
    grant = shares().revoke(share_id, patient_id)
    if grant.share.user_id == actor().user_id:
        flash("You left. You no longer have access.", "ok")
        return redirect(url_for("records.home"), 303)
    pending = grant.share.accepted_at is None
    flash(f"{'Invitation' if pending else 'Access'} of {grant.email} revoked.", "ok")
    return redirect(url_for(".people", patient_id=patient_id), 303)
