"""SMART Health Links as their senders see them: offer, create, show once, list, end."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from flask import Blueprint, current_app, flash, make_response, redirect, render_template, request, url_for
from flask.typing import ResponseReturnValue
from itsdangerous import BadData, URLSafeTimedSerializer

from medfiles.errors import NotFound, Rejected
from medfiles.http import smart_links as http_smart_links
from medfiles.http import views
from medfiles.http.current import records, smart_links
from medfiles.http.links import links_off, links_warning
from medfiles.i18n import N_, gettext
from medfiles.links.service import LinkSummary
from medfiles.links.states import State
from medfiles.smart_links import rules
from medfiles.smart_links.service import VIEW_ONLY, SmartSummary
from medfiles.smart_links.states import SmartState
from medfiles.web.qr import qr_code

blueprint = Blueprint("smart_links", __name__)
COOKIE, SHOWN_SECONDS = "medfiles-smart-link", 10 * 60  # holds a new link until it has been prepared and shown
REFRESH_SECONDS = 3
STATES = {  # word and tone
    SmartState.PREPARING: (N_("Being prepared"), "warning"),
    SmartState.FAILED: (N_("Failed"), "warning"),
    SmartState.READY: (N_("Active"), "ok"),
    SmartState.PAUSED: (N_("Paused"), "warning"),
    SmartState.EXPIRED: (N_("Expired"), ""),
    SmartState.ENDED: (N_("Ended"), ""),
}
HINTS = {
    "desk": N_("Opens for 15 minutes. The practice scans the code from your screen."),
    "paper": N_("Opens for 48 hours. Print the code and hand it over."),
    "app": N_("Opens as long as this link."),
    "up-to-date": N_("Opens as long as this link. The app can fetch changes later."),
}
WITHOUT_PASSCODE = N_("Opens without the passcode.")
WITH_PASSCODE = N_("Asks for the passcode of this link.")


@dataclass(frozen=True)
class KindView:
    """A kind of SMART Health Link to choose."""

    name: str
    label: str
    hint: str


@dataclass(frozen=True)
class Offer:
    """What can be created for a share link, or the `reason` why nothing can."""

    link_id: int
    kinds: Sequence[KindView]
    size: str  # megabytes of the documents
    most: str
    reason: str | None


@dataclass(frozen=True)
class SmartView:
    """A SMART Health Link in a list."""

    id: int
    label: str
    state: str
    word: str
    tone: str
    created_at: datetime
    expires_at: datetime

    @property
    def is_over(self) -> bool:
        return self.state in (SmartState.EXPIRED, SmartState.ENDED)


@blueprint.post("/links/<int:link_id>/smart")
def create(link_id: int) -> ResponseReturnValue:
    each = "each_document" in request.form
    created = http_smart_links.create(link_id, request.form.get("kind", ""), each_document=each)
    smart_id = created.made.smart.id
    path = url_for(".show", link_id=link_id, smart_id=smart_id)
    response = make_response(redirect(path, 303))
    response.set_cookie(
        COOKIE, _signer().dumps([smart_id, created.address]), max_age=SHOWN_SECONDS, path=path, httponly=True,
        secure=current_app.config["SESSION_COOKIE_SECURE"], samesite="Strict",
    )  # fmt: skip
    return response


@blueprint.get("/links/<int:link_id>/smart/<int:smart_id>")
def show(link_id: int, smart_id: int) -> ResponseReturnValue:
    """Show a new link, which only the browser that created it can, and only for a few minutes."""
    summary = smart_links().get(link_id)
    found = next((one for one in smart_links().smart_links(link_id) if one.smart.id == smart_id), None)
    if found is None:
        raise NotFound()
    view, address = _view(found), _held_address(smart_id)
    patient = records().patient(summary.patient.id)
    context = {"patient": views.patient_view(patient.patient, patient.level), "link": summary.link, "smart": view}
    if address is None or view.is_over:
        return render_template("links/smart_gone.html", **context)
    if found.state != SmartState.READY:
        page = make_response(render_template("links/smart_wait.html", **context))
        page.headers["Refresh"] = str(REFRESH_SECONDS)
        return page
    more = {"address": address, "qr": qr_code(address), "warning": links_warning()}
    return render_template("links/smart_ready.html", **context, **more)


@blueprint.post("/links/<int:link_id>/smart/<int:smart_id>/end")
def end(link_id: int, smart_id: int) -> ResponseReturnValue:
    smart_links().end_smart(link_id, smart_id)
    flash(gettext("SMART Health Link ended. Apps can no longer fetch it."), "ok")
    return redirect(url_for("links.link", link_id=link_id), 303)


def context(summary: LinkSummary) -> dict[str, Any]:
    """Return what the page of a share link shows of its SMART Health Links."""
    found = smart_links().smart_links(summary.link.id)
    return {"smart": offer(summary), "smart_links": [_view(one) for one in found]}


def offer(summary: LinkSummary) -> Offer | None:
    """Return what can be created for a share link; None if it has ended or is paused."""
    if summary.state != State.ACTIVE:
        return None
    link, size = summary.link, sum(file.file_size for file in summary.documents)
    kinds = [
        KindView(kind.name, gettext(kind.label), _hint(kind.name, link.passcode_hash is not None, kind.flags))
        for kind in rules.KINDS.values()
    ]
    reason = links_off()
    if reason is None and not link.allow_download:
        reason = gettext(VIEW_ONLY)
    if reason is None and not summary.documents:
        reason = gettext("There are no documents left in this link.")
    if reason is None:
        try:
            rules.require_size(size)
        except Rejected as error:
            reason = error.message
    return Offer(link.id, kinds, rules.megabytes(size), rules.megabytes(rules.MOST_BYTES), reason)


def _hint(name: str, has_passcode: bool, flags: str) -> str:
    said = gettext(HINTS[name])
    if not has_passcode:
        return said
    return f"{said} {gettext(WITHOUT_PASSCODE if 'U' in flags else WITH_PASSCODE)}"


def _view(summary: SmartSummary) -> SmartView:
    smart, (word, tone) = summary.smart, STATES[summary.state]
    label = gettext(rules.KINDS[smart.kind].label)
    return SmartView(
        smart.id, label, summary.state, gettext(word), tone, smart.created_at, smart.expires_at
    )  # fmt: skip


def _held_address(smart_id: int) -> str | None:
    """Return the address of a link that this browser has just created."""
    try:
        held, address = _signer().loads(request.cookies.get(COOKIE, ""), max_age=SHOWN_SECONDS)
    except (BadData, ValueError, TypeError):
        return None
    return str(address) if held == smart_id else None


def _signer() -> URLSafeTimedSerializer:
    return URLSafeTimedSerializer(current_app.config["SECRET_KEY"], salt="medfiles.new-smart-health-link")
