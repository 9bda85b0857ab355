"""“Confirm it’s you”: ask for the password and code again before sign-in settings are changed."""

from urllib.parse import urlsplit

from flask import g, redirect, render_template, request, url_for
from flask.typing import ResponseReturnValue
from flask_security import ChangePasswordForm, current_user, verify_password
from flask_security.proxies import _security
from wtforms import PasswordField, StringField
from wtforms.validators import InputRequired, Length

from medfiles.accounts import proof
from medfiles.http.current import actor
from medfiles.i18n import N_, gettext
from medfiles.web.forms import ServiceForm

SAME_PASSWORD = N_("This is your current password. Choose a different one.")


class ConfirmForm(ServiceForm):
    password = PasswordField(
        N_("Password"),
        [InputRequired(N_("Enter your password.")), Length(max=1000)],
        render_kw={"autocomplete": "current-password"},
    )
    code = StringField(
        N_("Code"),
        [InputRequired(N_("Enter the code.")), Length(max=20)],
        description=N_("The 6-digit code from your authenticator app"),
        render_kw={"autocomplete": "one-time-code", "inputmode": "numeric", "maxlength": 20},
    )


class NewPasswordForm(ChangePasswordForm):
    """A form for a new password. `ConfirmForm` has just asked for the current one."""

    password = None  # type: ignore[assignment]

    def validate(self, **more: object) -> bool:
        if not super(ChangePasswordForm, self).validate(**more):
            return False
        problems, self.new_password.data = _security.password_util.validate(
            self.new_password.data or "", False, user=current_user
        )
        if not problems and verify_password(self.new_password.data, current_user.password):
            problems = [gettext(SAME_PASSWORD)]
        self.new_password.errors = [*self.new_password.errors, *(problems or ())]
        return not problems


def confirm() -> ResponseReturnValue:
    form = ConfirmForm()
    if not proof.needs_code(actor()):
        del form.code
    if form.submit(lambda: _prove(form)):
        return redirect(_next_page(), 303)
    return render_template("security/verify.html", verify_form=form), form.http_status


def _prove(form: ConfirmForm) -> bool:
    code = form.code.data if form.code else None
    proof.give(actor(), g.session_digest, form.password.data or "", code or "")
    return True


def _next_page() -> str:
    """Return the account page that asked for proof."""
    try:
        wanted = urlsplit(request.args.get("next", ""))
    except ValueError:
        wanted = urlsplit("")
    inside = wanted.path.startswith("/account/") and not wanted.scheme and not wanted.netloc
    return wanted.path if inside else url_for("account.account")
