"""Share links as their senders see them: choose documents, create a link, list links, and who opened what."""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any
from urllib.parse import quote

from flask import Blueprint, flash, g, redirect, render_template, request, url_for
from flask.typing import ResponseReturnValue
from wtforms import (  # type: ignore[attr-defined]  # SelectChoice is newer than its stubs
    BooleanField,
    DateField,
    HiddenField,
    RadioField,
    SelectChoice,
    SelectField,
    StringField,
    TextAreaField,
)
from wtforms.validators import Optional

from medfiles.clock import is_zone, midnight, now
from medfiles.errors import Archived, Conflict, Forbidden, Rejected
from medfiles.http import parameters, views
from medfiles.http.current import links, records
from medfiles.http.links import links_off, links_warning, public_url
from medfiles.http.views import FileView, PatientView, file_views
from medfiles.i18n import N_, gettext
from medfiles.links import rules
from medfiles.links.service import LinkSummary, NewLink, Opening
from medfiles.links.states import State
from medfiles.permissions import Action
from medfiles.web import forms, home, smart_links
from medfiles.web.filters import day
from medfiles.web.forms import ServiceForm
from medfiles.web.qr import qr_code

blueprint = Blueprint("links", __name__)
ONE_LINE: dict[str, Any] = {"maxlength": rules.NAME_LIMIT, "autocomplete": "off"}
ON_A_DAY = "date"  # instead of a number of days
LIFETIMES = ((1, N_("In 1 day")), (rules.DEFAULT_DAYS, N_("In 7 days")), (30, N_("In 30 days")), (365, N_("In 1 year")))
VIEW, DOWNLOAD = "view", "download"
PERMISSIONS = [SelectChoice(VIEW, N_("View only")), SelectChoice(DOWNLOAD, N_("View and download"))]
STATES = {  # word and tone
    State.ACTIVE: (N_("Active"), "ok"),
    State.PAUSED: (N_("Paused"), "warning"),
    State.REVOKED: (N_("Revoked"), ""),
    State.EXPIRED: (N_("Expired"), ""),
    State.ENDED: (N_("Ended"), ""),
}
LIVE = (State.ACTIVE, State.PAUSED)
STACKED = 3  # thumbnails on a card
MOST_TOLD, LAST_OPENINGS = 10, 2  # links in a list that show openings, and how many of each
MOST_PEOPLE = 12  # to choose from for a new link


class LinkForm(ServiceForm):
    label = StringField(N_("For"), description=N_("Only you see this"), render_kw=ONE_LINE)
    sender = StringField(N_("From"), description=N_("Shown to the reader"), render_kw=ONE_LINE)
    note = TextAreaField(
        N_("Note"), description=N_("Shown to the reader"), render_kw={"rows": 2, "maxlength": rules.NOTE_LIMIT}
    )
    expires = SelectField(N_("Expires"), choices=[], default=str(rules.DEFAULT_DAYS))
    expires_at = DateField(N_("Last day"), [Optional()])
    access = RadioField(N_("They can"), choices=PERMISSIONS, default=VIEW)
    has_passcode = BooleanField(N_("Ask for a passcode"), default=True)
    passcode = StringField(
        N_("Passcode"), render_kw={"maxlength": rules.MOST_PASSCODE, "autocomplete": "off", "spellcheck": "false"}
    )
    zone = HiddenField(default="UTC", render_kw={"data-mf-zone-name": True})
    file_ids = HiddenField(N_("Documents"))  # only for what the service says about them

    @property
    def ends(self) -> datetime:
        """The moment at which the link expires: at once, or after the last day in the sender's time zone."""
        if self.expires.data != ON_A_DAY:
            return now() + timedelta(days=int(self.expires.data))
        if self.expires_at.data is None:
            raise Rejected.about("expires_at", gettext("Enter the last day."))
        zone = self.zone.data or ""
        zone = zone if is_zone(zone) else "UTC"
        return midnight(self.expires_at.data + timedelta(days=1), zone)


@dataclass(frozen=True)
class LinkView:
    """A link in a list, with its newest openings if they are shown."""

    id: int
    title: str
    state: str
    word: str  # "Active"
    tone: str
    patient: PatientView
    files: Sequence[FileView]
    count: int  # documents it shows now
    gone: int
    permission: str
    has_passcode: bool
    wrong_passcodes: int
    created_at: datetime
    expires_at: datetime
    days_left: int
    ended_at: datetime | None  # None: has not ended, or not at a known time
    note: str | None
    sender: str | None
    openings: int
    last_opened_at: datetime | None
    latest: Sequence[Opening]

    @property
    def is_live(self) -> bool:
        return self.state in LIVE


@blueprint.get("/patients/<int:patient_id>/share")
def share(patient_id: int) -> ResponseReturnValue:
    patient = _editable(patient_id)
    if patient.archived_at or links_off():
        return render_template("links/off.html", patient=patient, reason=links_off() or Archived().message)
    asked = parameters.read_id_lists(request.args.getlist("files"))
    if asked is None:
        raise Rejected(gettext("files must be document IDs."))
    chosen = links().choices(patient_id, asked) if asked else ()
    if not chosen:
        return render_template(
            "links/choose.html", patient=patient, files=file_views(links().choices(patient_id)), missing=bool(asked)
        )
    return _form_page(patient, _form(), [file.id for file in chosen])


@blueprint.post("/patients/<int:patient_id>/share")
def create(patient_id: int) -> ResponseReturnValue:
    patient = _editable(patient_id)
    if patient.archived_at:
        raise Archived()
    if off := links_off():
        raise Conflict(off)
    ids = parameters.read_id_lists(request.form.getlist("files"))
    if ids is None:
        raise Rejected(gettext("files must be document IDs."))
    ids, form, key = list(dict.fromkeys(ids)), _form(), forms.creation_key()
    if do := request.form.get("do"):
        return _form_page(patient, form, _rearranged(ids, do))
    created = form.submit(lambda: _create(patient_id, ids, form, key))
    if created is None:
        return _form_page(patient, form, ids)
    if created.token is None:
        flash(gettext("This link was already created. Its address was shown once and cannot be shown again."), "ok")
        return redirect(url_for(".link", link_id=created.link.id), 303)
    return _ready(patient, created, len(ids), form)


@blueprint.get("/links", endpoint="links")
def all_links() -> ResponseReturnValue:
    people = [person for person in home.shown_people(MOST_PEOPLE)[0] if person.can_edit]
    return _list_page(links().all(), people=people, here=url_for(".links"), came_from="links")


@blueprint.get("/patients/<int:patient_id>/links")
def patient_links(patient_id: int) -> ResponseReturnValue:
    patient = _editable(patient_id)
    here = url_for(".patient_links", patient_id=patient_id)
    people = [patient] if patient.can_edit else []
    return _list_page(links().of_patient(patient_id), patient=patient, people=people, here=here, came_from="patient")


@blueprint.get("/links/<int:link_id>")
def link(link_id: int) -> ResponseReturnValue:
    summary = links().get(link_id)
    patient = _editable(summary.patient.id)
    [view] = _views([summary])
    context = {"openings": links().openings(link_id), "most_tries": rules.MOST_TRIES, **smart_links.context(summary)}
    return render_template("links/link.html", link=view, patient=patient, **context)


@blueprint.post("/links/<int:link_id>/pause")
def pause(link_id: int) -> ResponseReturnValue:
    return _back(links().pause(link_id), gettext("Link paused. It does not open until you resume it."))


@blueprint.post("/links/<int:link_id>/resume")
def resume(link_id: int) -> ResponseReturnValue:
    return _back(links().resume(link_id), gettext("Link resumed. It opens again."))


@blueprint.post("/links/<int:link_id>/revoke")
def revoke(link_id: int) -> ResponseReturnValue:
    return _back(links().revoke(link_id), gettext("Link revoked. It no longer opens."))


def _editable(patient_id: int) -> PatientView:
    """Return the patient, archived or not. Raises Forbidden for viewers."""
    summary = records().patient(patient_id)
    g.patient = views.patient_view(summary.patient, summary.level)
    if not g.patient.is_editor:
        raise Forbidden()
    return g.patient  # type: ignore[no-any-return]


def _form() -> LinkForm:
    form, today = LinkForm(data={"passcode": rules.new_passcode()}), now()
    form.expires.choices = [
        SelectChoice(str(days), f"{gettext(label)} · {day(today + timedelta(days=days))}") for days, label in LIFETIMES
    ] + [SelectChoice(ON_A_DAY, gettext("On a date"))]
    last = today + timedelta(days=rules.MOST_DAYS)
    form.expires_at.render_kw = {"min": today.date().isoformat(), "max": last.date().isoformat()}
    return form


def _form_page(patient: PatientView, form: LinkForm, ids: Sequence[int]) -> ResponseReturnValue:
    """Show the form, and the patient's other documents, which can be added."""
    chosen = file_views(links().choices(patient.id, ids)) if ids else []
    known = {file.id for file in chosen}
    others = file_views([file for file in links().choices(patient.id) if file.id not in known])
    page = render_template(
        "links/form.html", form=form, patient=patient, files=chosen, others=others, creation_key=forms.creation_key(),
        warning=links_warning(),
    )  # fmt: skip
    return page, form.http_status


def _rearranged(ids: list[int], do: str) -> list[int]:
    """Return the documents after a button was pressed: "left:7", "right:7", "remove:7" or "keep"."""
    action, _, word = do.partition(":")
    number = parameters.read_id(word)
    if number not in ids:
        return ids
    place = ids.index(number)
    rest = ids[:place] + ids[place + 1 :]
    if action == "remove":
        return rest
    step = {"left": -1, "right": 1}.get(action, 0)
    rest.insert(max(0, place + step), number)
    return rest


def _create(patient_id: int, ids: Sequence[int], form: Any, key: str) -> NewLink:
    return links().create(
        patient_id, ids, label=form.label.data, sender=form.sender.data, note=form.note.data, expires_at=form.ends,
        passcode=(form.passcode.data or "") if form.has_passcode.data else None,
        allow_download=form.access.data == DOWNLOAD, creation_key=key,
    )  # fmt: skip


def _ready(patient: PatientView, created: NewLink, count: int, form: Any) -> str:
    """Show the address and the passcode, which cannot be shown again."""
    link, url = created.link, public_url(created.token or "")
    subject = gettext("Documents for you")
    body = gettext("Open the documents here: %(url)s", url=url)
    return render_template(
        "links/ready.html", patient=patient, link=link, count=count, url=url, qr=qr_code(url), warning=links_warning(),
        passcode=form.passcode.data.strip() if form.has_passcode.data else None,
        mail=f"mailto:?subject={quote(subject)}&body={quote(body)}", smart=smart_links.offer(links().get(link.id)),
    )  # fmt: skip


def _list_page(summaries: Sequence[LinkSummary], **context: Any) -> str:
    ended = parameters.flag(request.args, "ended")
    found = _views(summaries, with_latest=not ended)
    live, over = [each for each in found if each.is_live], [each for each in found if not each.is_live]
    return render_template(
        "links/links.html", live=live, over=over, only_ended=ended, off=links_off(), warning=links_warning(), **context
    )


def _views(summaries: Sequence[LinkSummary], *, with_latest: bool = False) -> list[LinkView]:
    shown = [file for summary in summaries for file in summary.documents[:STACKED]]
    files = {view.id: view for view in file_views(list({file.id: file for file in shown}.values()))}
    told = [summary.link.id for summary in summaries if summary.state in LIVE and summary.openings][:MOST_TOLD]
    latest = {number: links().openings(number)[:LAST_OPENINGS] for number in (told if with_latest else ())}

    def view(summary: LinkSummary) -> LinkView:
        link, (word, tone) = summary.link, STATES[summary.state]
        over = {State.REVOKED: link.revoked_at, State.EXPIRED: link.expires_at}.get(summary.state)
        return LinkView(
            id=link.id,
            title=link.label or gettext("Link of %(day)s", day=day(link.created_at)),
            state=summary.state,
            word=gettext(word),
            tone=tone,
            patient=views.patient_view(summary.patient, Action.EDIT),
            files=[files[file.id] for file in summary.documents[:STACKED]],
            count=len(summary.documents),
            gone=summary.gone,
            permission=gettext(PERMISSIONS[link.allow_download].label),
            has_passcode=link.passcode_hash is not None,
            wrong_passcodes=link.wrong_passcodes - link.passcodes_in_check,
            created_at=link.created_at,
            expires_at=link.expires_at,
            days_left=max(1, math.ceil((link.expires_at - now()) / timedelta(days=1))),
            ended_at=over,
            note=link.note,
            sender=link.sender,
            openings=summary.openings,
            last_opened_at=summary.last_opened_at,
            latest=latest.get(link.id, ()),
        )

    return [view(summary) for summary in summaries]


def _back(summary: LinkSummary, said: str) -> ResponseReturnValue:
    """Go back to the page with the button."""
    flash(said, "ok")
    lists = {"links": url_for(".links"), "patient": url_for(".patient_links", patient_id=summary.patient.id)}
    return redirect(lists.get(request.form.get("from", "")) or url_for(".link", link_id=summary.link.id), 303)
