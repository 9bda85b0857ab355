"""Create API tokens, confirmed by password and shown once, and revoke them."""

from datetime import timedelta
from typing import Any

from flask import Blueprint, flash, redirect, render_template, url_for
from flask.typing import ResponseReturnValue
from wtforms import PasswordField, RadioField, SelectChoice, SelectField, StringField  # type: ignore[attr-defined]  # newer than its stubs
from wtforms.validators import InputRequired, Length

from medfiles.accounts import api_tokens
from medfiles.accounts import service as accounts
from medfiles.errors import Rejected
from medfiles.http import parameters
from medfiles.http.current import actor
from medfiles.web.forms import ServiceForm
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
]
EVERY_PATIENT = "Everyone you have access to"


class TokenForm(ServiceForm):
    name = StringField(
        "Name",
        [InputRequired("Enter the name."), Length(max=api_tokens.NAME_LIMIT)],
        description="For example: Scanner in the hall",
        render_kw={"maxlength": api_tokens.NAME_LIMIT, "autocomplete": "off"},
    )
    scope = RadioField("Permission", choices=SCOPES, default=api_tokens.READ)
    patient = SelectField("Patient", choices=[], validate_choice=False)
    days = SelectField("Expires", choices=LIFETIMES, default="365")
    password = PasswordField(
        "Your password",
        [InputRequired("Enter your password.")],
        description="To make sure it’s you",
        render_kw={"autocomplete": "current-password"},
    )


@blueprint.route("/new", methods=["GET", "POST"])
def new() -> ResponseReturnValue:
    form = TokenForm()
    every = SelectChoice("", EVERY_PATIENT)
    form.patient.choices = [every, *(SelectChoice(str(each.id), each.name) for each in patients())]
    if made := form.submit(lambda: _create(form)):
        return render_template("account/token.html", name=made[0].name, text=made[1])
    return render_template("account/token_form.html", form=form), form.http_status


@blueprint.post("/<int:token_id>/confirm")
def confirm(token_id: int) -> ResponseReturnValue:
    token = api_tokens.confirm(actor(), token_id)
    flash(f"Token “{token.name}” confirmed. It works again.", "ok")
    return redirect(url_for("account.account", _anchor="tokens"), 303)


@blueprint.post("/<int:token_id>/revoke")
def revoke(token_id: int) -> ResponseReturnValue:
    token = api_tokens.revoke(actor(), token_id)
    flash(f"Token “{token.name}” revoked. It no longer works.", "ok")
    return redirect(url_for("account.account", _anchor="tokens"), 303)


def _create(form: Any) -> tuple[Any, str]:
    """Return the token and its text."""
    if not accounts.has_password(actor().email, form.password.data):
        raise Rejected.about("password", "Wrong password.")
    days, patient = int(form.days.data), form.patient.data
    lifetime = timedelta(days=days) if days else None
    return api_tokens.create(actor(), form.name.data, form.scope.data, parameters.id_or_unknown(patient), lifetime)
