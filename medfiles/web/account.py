"""The account page, sign-out, and Flask-Security's configuration."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from flask import Blueprint, Flask, flash, g, redirect, render_template, request, session, url_for
from flask.typing import ResponseReturnValue
from flask_security import LoginForm, Security, TwoFactorVerifyCodeForm, current_user, logout_user
from ua_parser import parse

from medfiles.accounts import api_tokens
from medfiles.accounts import service as accounts
from medfiles.documents import quota
from medfiles.http import parameters, rate_limits
from medfiles.http.current import actor, services, texts
from medfiles.i18n import N_, gettext
from medfiles.texts.dates import DAY_FIRST, MONTH_FIRST
from medfiles.web.confirm import NewPasswordForm, confirm
from medfiles.web.home import patients

blueprint = Blueprint("account", __name__)
DATE_ORDERS = {  # what 3/4/2019 means in the account's documents
    "": N_("Don’t suggest such dates"),
    DAY_FIRST: N_("Day first: 3 April 2019"),
    MONTH_FIRST: N_("Month first: March 4, 2019"),
}
NOT_SHARED = N_("a patient you no longer have access to")
PASSWORD_CHANGED = N_("Password changed. Your other devices were signed out, and your API tokens were revoked.")


class SignInForm(LoginForm):
    """A sign-in form without "remember me", which would outlive the idle timeout."""

    remember = None  # type: ignore[assignment]

    def validate(self, **more: Any) -> bool:
        """Validate the form and log the attempt. If the attempt cannot be logged, sign-in fails."""
        succeeded = super().validate(**more)
        if self.email.data and self.password.data:
            _log_sign_in("sign-in", self.user, succeeded)
        return succeeded


class CodeForm(TwoFactorVerifyCodeForm):
    def validate(self, **more: Any) -> bool:
        succeeded = super().validate(**more)
        _log_sign_in("second-step", self.user, succeeded, commit=not succeeded)
        return succeeded


def _log_sign_in(action: str, user: Any, succeeded: bool, *, commit: bool = True) -> None:
    if succeeded or rate_limits.may_record_refusal():
        accounts.log_sign_in(action, user, succeeded, request.remote_addr, g.request_id, commit=commit)


@dataclass(frozen=True)
class SessionView:
    id: int
    agent: str
    address: str
    seen_at: datetime
    current: bool


@dataclass(frozen=True)
class TokenView:
    id: int
    name: str
    scope: str
    patient: str | None  # None: all patients of the account
    used_at: datetime | None
    expires_at: datetime | None
    over: bool
    misdated: bool
    suspended: bool  # until confirmed


@blueprint.get("/account")
def account() -> ResponseReturnValue:
    names = {person.id: person.name for person in patients()}
    open_sessions = accounts.sessions(actor(), services().idle, services().longest)
    return render_template(
        "account/account.html",
        sessions=[_session_view(entry) for entry in open_sessions],
        tokens=[_token_view(token, names) for token in api_tokens.list_tokens(actor())],
        usage={"used": quota.used_bytes(actor().user_id), "quota": services().quota},
        two_factor=bool(current_user.tf_primary_method),
        date_orders=DATE_ORDERS,
        date_order=current_user.date_order or "",
    )


@blueprint.post("/account/dates")
def dates() -> ResponseReturnValue:
    """Set how the account writes dates, for suggestions."""
    order = parameters.one_of(request.form, "date_order", tuple(DATE_ORDERS))
    texts().set_date_order(order or None)
    flash(gettext("Saved."), "ok")
    return redirect(url_for(".account"), 303)


blueprint.add_url_rule("/account/verify", "verify", confirm, methods=["GET", "POST"])


@blueprint.post("/sign-out")
def sign_out() -> ResponseReturnValue:
    _log_sign_in("sign-out", current_user._get_current_object(), True)
    logout_user()
    session.clear()
    flash(gettext("Signed out."), "ok")
    response = redirect(url_for("security.login"), 303)
    response.headers["Clear-Site-Data"] = '"cache"'  # an embedding page shares the origin's cookies and storage
    return response


@blueprint.post("/account/sessions/<int:session_id>/end")
def end_session(session_id: int) -> ResponseReturnValue:
    accounts.end_session(actor(), session_id)
    flash(gettext("Device signed out."), "ok")
    return redirect(url_for(".account"), 303)


def _token_view(token: Any, names: Mapping[int, str]) -> TokenView:
    return TokenView(
        id=token.id,
        name=token.name,
        scope=token.scope,
        patient=names.get(token.patient_id) or gettext(NOT_SHARED) if token.patient_id else None,
        used_at=token.used_at,
        expires_at=token.expires_at,
        over=api_tokens.is_expired(token),
        misdated=api_tokens.is_misdated(token),
        suspended=token.suspended_at is not None,
    )


def _session_view(entry: Any) -> SessionView:
    agent = parse(entry.agent or "")
    words = [part.family for part in (agent.user_agent, agent.os) if part and part.family != "Other"]
    current = entry.digest == g.session_digest
    device = (
        gettext("%(browser)s on %(system)s", browser=words[0], system=words[1]) if len(words) == 2 else "".join(words)
    )
    return SessionView(entry.id, device or gettext("Unknown device"), entry.address or "", entry.seen_at, current)


def init_app(app: Flask, settings: dict[str, Any]) -> None:
    app.config.update(
        SECURITY_LOGIN_URL="/sign-in",
        SECURITY_LOGOUT_URL="/account/sign-out",
        SECURITY_POST_LOGIN_VIEW="/",
        SECURITY_REGISTERABLE=settings["MEDFILES_REGISTRATION"],
        SECURITY_REGISTER_URL="/register",
        SECURITY_SEND_REGISTER_EMAIL=False,
        SECURITY_CHANGEABLE=True,
        SECURITY_CHANGE_URL="/account/password",
        SECURITY_POST_CHANGE_VIEW="/account",
        SECURITY_SEND_PASSWORD_CHANGE_EMAIL=False,
        SECURITY_FRESHNESS=timedelta(minutes=-1),  # off: accounts.proof is stricter
        SECURITY_TWO_FACTOR=True,
        SECURITY_TWO_FACTOR_ENABLED_METHODS=["authenticator"],
        SECURITY_TWO_FACTOR_RESCUE_EMAIL=False,
        SECURITY_TWO_FACTOR_SETUP_URL="/account/second-step",
        SECURITY_TWO_FACTOR_TOKEN_VALIDATION_URL="/sign-in/code",
        SECURITY_TWO_FACTOR_RESCUE_URL="/sign-in/rescue",
        SECURITY_TWO_FACTOR_SELECT_URL="/sign-in/method",
        SECURITY_TWO_FACTOR_POST_SETUP_VIEW="/account",
        SECURITY_TOTP_SECRETS={"1": app.secret_key},
        SECURITY_TOTP_ISSUER="medfiles",
        SECURITY_PASSWORD_HASH="argon2",
        SECURITY_PASSWORD_SINGLE_HASH={"argon2"},  # not keyed: a restored database works without its secret key
        SECURITY_CACHE_CONTROL=None,  # http.security sets the header
        SECURITY_PASSWORD_LENGTH_MIN=accounts.PASSWORD_MIN_LENGTH,
        SECURITY_EMAIL_VALIDATOR_ARGS={"check_deliverability": False},
        SECURITY_RETURN_GENERIC_RESPONSES=True,
        SECURITY_USE_REGISTER_V2=True,
        SECURITY_STATIC_FOLDER_URL="/static/security",
        SECURITY_MSG_GENERIC_AUTHN_FAILED=(N_("Wrong email or password."), "error"),
        SECURITY_MSG_PASSWORD_INVALID_LENGTH=(accounts.PASSWORD_LENGTH, "error"),
        SECURITY_MSG_PASSWORD_CHANGE=(PASSWORD_CHANGED, "ok"),
        SECURITY_MSG_EMAIL_NOT_PROVIDED=(N_("Enter your email."), "error"),
        SECURITY_MSG_INVALID_EMAIL_ADDRESS=(N_("Enter an email address, such as anna@example.org."), "error"),
        SECURITY_MSG_PASSWORD_NOT_PROVIDED=(N_("Enter your password."), "error"),
        SECURITY_MSG_RETYPE_PASSWORD_MISMATCH=(N_("The passwords do not match."), "error"),
        SECURITY_MSG_TWO_FACTOR_INVALID_TOKEN=(N_("This code is wrong or has already been used."), "error"),
        SECURITY_MSG_TWO_FACTOR_LOGIN_SUCCESSFUL=(N_("Signed in."), "ok"),
        SECURITY_MSG_TWO_FACTOR_CHANGE_METHOD_SUCCESSFUL=(N_("Two-step verification is on."), "ok"),
        SECURITY_MSG_TWO_FACTOR_DISABLED=(N_("Two-step verification is off."), "ok"),
        SECURITY_MSG_TWO_FACTOR_METHOD_NOT_AVAILABLE=(N_("This method is not available. Choose another one."), "error"),
        SECURITY_MSG_TWO_FACTOR_PERMISSION_DENIED=(N_("Enter your email and password first."), "error"),
        SECURITY_MSG_TWO_FACTOR_SETUP_EXPIRED=(N_("Setup took longer than %(within)s. Start again."), "error"),
    )
    extension = Security(
        app, accounts.datastore,
        login_form=SignInForm, change_password_form=NewPasswordForm, two_factor_verify_code_form=CodeForm,
        totp_cls=accounts.SingleUseTotp,
    )  # fmt: skip
    extension.i18n_domain.gettext = gettext  # type: ignore[assignment,method-assign]  # of the messages above
    app.jinja_env.globals["_fsdomain"] = gettext
    app.login_manager.request_loader(lambda request: None)  # type: ignore[attr-defined]  # Flask-Security's tokens outlive every session
    app.view_functions["security.logout"] = sign_out
