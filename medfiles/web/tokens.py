"""API tokens: create (shown once), confirm if suspended, and revoke. Each requires fresh proof."""

from dataclasses import dataclass
from datetime import timedelta
from typing import Any

from flask import Blueprint, flash, g, redirect, render_template, request, url_for
from flask.typing import ResponseReturnValue
from wtforms import RadioField, SelectChoice, SelectField, StringField  # type: ignore[attr-defined]  # newer than its stubs
from wtforms.validators import InputRequired, Length

from medfiles.accounts import api_tokens
from medfiles.http import parameters
from medfiles.http.current import actor, links
from medfiles.i18n import N_, gettext
from medfiles.permissions import Action
from medfiles.records.sharing import given_by_token
from medfiles.web.forms import ServiceForm
from medfiles.web.home import shown_people

blueprint = Blueprint("tokens", __name__, url_prefix="/account/tokens")
LIFETIMES = [
    SelectChoice("30", N_("30 days")),
    SelectChoice("90", N_("90 days")),
    SelectChoice("365", N_("1 year")),
    SelectChoice("0", N_("Never")),
]
SCOPES = [
    SelectChoice(api_tokens.READ, N_("Can view: read and download")),
    SelectChoice(api_tokens.WRITE, N_("Can edit: also add, change and delete")),
    SelectChoice(api_tokens.SHARE, N_("Can edit and share: also give other people access")),
]
MOST_PATIENTS = 200  # in the list of patients
ONLY_RECENT = N_("The %(most)s patients you used last. To choose another, open that patient’s page first.")
EVERY_PATIENT = N_("All patients you have access to")


class TokenForm(ServiceForm):
    name = StringField(
        N_("Name"),
        [InputRequired(N_("Enter a name.")), Length(max=api_tokens.NAME_LIMIT)],
        description=N_("For example: Hallway scanner"),
        render_kw={"maxlength": api_tokens.NAME_LIMIT, "autocomplete": "off"},
    )
    scope = RadioField(N_("Permission"), choices=SCOPES, default=api_tokens.READ)
    patient = SelectField(N_("Patient"), choices=[], validate_choice=False)
    days = SelectField(N_("Expires"), choices=LIFETIMES, default="365")


@dataclass(frozen=True)
class TokenShareView:
    """Access that was granted with a token."""

    email: str
    patient: str
    patient_id: int
    can_edit: bool
    pending: bool


@blueprint.route("/new", methods=["GET", "POST"])
def new() -> ResponseReturnValue:
    form = TokenForm()
    shown, has_more = shown_people(MOST_PATIENTS)
    every = SelectChoice("", gettext(EVERY_PATIENT))
    form.patient.choices = [every, *(SelectChoice(str(each.id), each.name) for each in shown)]
    if has_more:
        form.patient.description = gettext(ONLY_RECENT, most=MOST_PATIENTS)
    if made := form.submit(lambda: _create(form)):
        return render_template("account/token.html", name=made[0].name, text=made[1])
    return render_template("account/token_form.html", form=form), form.http_status


@blueprint.route("/<int:token_id>/confirm", methods=["GET", "POST"])
def confirm(token_id: int) -> ResponseReturnValue:
    if request.method == "GET":
        token = api_tokens.find(actor(), token_id)
        return render_template("account/token_confirm.html", name=token.name, token_id=token_id)
    token = api_tokens.confirm(actor(), token_id, g.session_digest)
    flash(gettext("Token “%(name)s” confirmed. It works again.", name=token.name), "ok")
    return redirect(url_for("account.account", _anchor="tokens"), 303)


@blueprint.route("/<int:token_id>/revoke", methods=["GET", "POST"])
def revoke(token_id: int) -> ResponseReturnValue:
    given = [
        TokenShareView(
            grant.email, patient, grant.share.patient_id, grant.share.level == Action.EDIT, not grant.share.accepted_at
        )
        for grant, patient in given_by_token(actor(), token_id)
    ]
    made = links().created_by_token(token_id)
    if request.method == "GET":
        token = api_tokens.find(actor(), token_id)
        return render_template("account/token_revoke.html", name=token.name, token_id=token_id, given=given, links=made)
    token = api_tokens.revoke(actor(), token_id, g.session_digest)
    if given or made:
        return render_template("account/token_revoked.html", name=token.name, given=given, links=made)
    flash(gettext("Token “%(name)s” revoked. It no longer works.", name=token.name), "ok")
    return redirect(url_for("account.account", _anchor="tokens"), 303)


def _create(form: Any) -> tuple[Any, str]:
    """Create a token; return it together with its text."""
    days, only = int(form.days.data), parameters.id_or_unknown(form.patient.data)
    lifetime = timedelta(days=days) if days else None
    return api_tokens.create(actor(), form.name.data, form.scope.data, only, lifetime, g.session_digest)
