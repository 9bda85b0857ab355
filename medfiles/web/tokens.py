"""Create API tokens, shown once, and revoke them; both need fresh proof."""

from dataclasses import dataclass
from datetime import timedelta
from typing import Any

from flask import Blueprint, flash, g, redirect, render_template, request, url_for
from flask.typing import ResponseReturnValue
from flask_wtf import FlaskForm
from wtforms import RadioField, SelectChoice, SelectField, StringField  # type: ignore[attr-defined]  # newer than its stubs
from wtforms.validators import InputRequired, Length

from medfiles.accounts import api_tokens
from medfiles.errors import Rejected
from medfiles.http import parameters
from medfiles.http.current import actor
from medfiles.http.errors import status_of
from medfiles.permissions import Action
from medfiles.records.sharing import given_by_token
from medfiles.web import forms
from medfiles.web.records import patients

blueprint = Blueprint("tokens", __name__, url_prefix="/account/tokens")
LIFETIMES = [
    SelectChoice("30", "30 days"),
    SelectChoice("90", "90 days"),
    SelectChoice("365", "1 year"),
    SelectChoice("0", "Never"),
]
SCOPES = [
    SelectChoice(api_tokens.READ, "Can view: read and download"),
    SelectChoice(api_tokens.WRITE, "Can edit: also add, change and delete"),
    SelectChoice(api_tokens.SHARE, "Can edit and share: also give other people access"),
]
EVERY_PATIENT = "Everyone you have access to"


class TokenForm(FlaskForm):  # type: ignore[misc]
    class Meta:
        csrf = False  # checked in http.security before the view

    name = StringField(
        "Name",
        [InputRequired("Enter the name."), Length(max=api_tokens.NAME_LIMIT)],
        description="For example: Scanner in the hall",
        render_kw={"maxlength": api_tokens.NAME_LIMIT, "autocomplete": "off"},
    )
    scope = RadioField("Permission", choices=SCOPES, default=api_tokens.READ)
    patient = SelectField("Patient", choices=[], validate_choice=False)
    days = SelectField("Expires", choices=LIFETIMES, default="365")


@dataclass(frozen=True)
class TokenShareView:
    """Access that a token gave."""

    email: str
    patient: str
    patient_id: int
    can_edit: bool
    pending: bool


@blueprint.route("/new", methods=["GET", "POST"])
def new() -> ResponseReturnValue:
    form = _form()
    made = _create(form) if form.validate_on_submit() else None
    if made:
        return render_template("account/token.html", name=made[0].name, text=made[1])
    status = getattr(form, "error_status", 422) if form.errors else 200
    return render_template("account/token_form.html", form=form), status


@blueprint.route("/<int:token_id>/revoke", methods=["GET", "POST"])
def revoke(token_id: int) -> ResponseReturnValue:
    given = [
        TokenShareView(
            grant.email, patient, grant.share.patient_id, grant.share.level == Action.EDIT, not grant.share.accepted_at
        )
        for grant, patient in given_by_token(actor(), token_id)
    ]
    if request.method == "GET":
        token = api_tokens.find(actor(), token_id)
        return render_template("account/token_revoke.html", name=token.name, token_id=token_id, given=given)
    token = api_tokens.revoke(actor(), token_id, g.session_digest)
    if given:
        return render_template("account/token_revoked.html", name=token.name, given=given)
    flash(f"Token “{token.name}” revoked. It no longer works.", "ok")
    return redirect(url_for("account.account", _anchor="tokens"), 303)


def _form() -> TokenForm:
    form = TokenForm()
    every = SelectChoice("", EVERY_PATIENT)
    form.patient.choices = [every, *(SelectChoice(str(each.id), each.name) for each in patients())]
    return form


def _create(form: Any) -> Any:
    """The token and its text; None when something has to be corrected."""
    try:
        days, patient = int(form.days.data), form.patient.data
        lasts = timedelta(days=days) if days else None
        only = parameters.id_or_unknown(patient)
        return api_tokens.create(actor(), form.name.data, form.scope.data, only, lasts, g.session_digest)
    except Rejected as error:
        forms.add_errors(form, error)
        form.error_status = status_of(error)
        return None
