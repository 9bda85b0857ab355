"""The home page, the list of all people, and the people in the sidebar."""

from collections.abc import Collection, Iterable, Mapping, Sequence
from typing import Any

from flask import flash, g, redirect, render_template, request, url_for
from flask.typing import ResponseReturnValue

from medfiles.documents.listing import SEARCH_LIMIT
from medfiles.http import parameters, views
from medfiles.http.current import documents, inbox, records, shares
from medfiles.http.htmx import fragment, is_htmx
from medfiles.http.views import PatientView, file_views
from medfiles.i18n import gettext
from medfiles.records.service import Summary
from medfiles.text import clean_text
from medfiles.web import inbox_rows
from medfiles.web.records import blueprint

MOST_RECENT = 12  # documents on the home page: two rows of six
MOST_PEOPLE = 12  # on the home page
MOST_IN_SIDEBAR = 8
MOST_PINNED = 50  # above all people
MOST_FOUND = 8  # under the field that finds a person
PEOPLE_PER_PAGE = 100


@blueprint.get("/")
def home() -> ResponseReturnValue:
    shown, has_more = shown_people(MOST_PEOPLE)
    if has_more:  # the sidebar shows the first of them
        g.sidebar = {"people": shown[:MOST_IN_SIDEBAR], "has_more": True}
    recent = documents().recent(limit=MOST_RECENT)
    others = {file.patient_id for file in recent} - {person.id for person in shown}
    owners = {person.id: person for person in (*shown, *people(others))}
    choosable = [person for person in shown if person.can_edit]
    to = _chosen(choosable)
    return render_template(
        "records/home.html",
        people=shown,
        choosable=choosable,
        panel=inbox_rows.upload_panel(to) if to else None,
        here=url_for(".home"),
        has_more=has_more,
        recent=file_views(recent, titled=True, people=owners),
        archived=len(records().archived_people()),
        trashed=len(records().trashed_patients()),
        invitations=shares().invitations(),
    )


@blueprint.get("/patients")
def all_people() -> ResponseReturnValue:
    words = clean_text(request.args.get("q"), SEARCH_LIMIT, "The search term (“q”)") or ""
    cursor = parameters.people_cursor(request.args)
    quick = is_htmx() and parameters.flag(request.args, "quick")
    found, hits, following = records().find_people(words, cursor, MOST_FOUND if quick else PEOPLE_PER_PAGE)
    here: dict[str, Any] = {"people": _views(found), "hits": hits, "words": words}
    if quick:
        return fragment("records/_people_quick.html", everyone=url_for(".all_people", q=words or None), **here)
    here["archived"] = () if cursor else _views(records().archived_people(words))
    here["pinned"] = [] if words or cursor else _views(records().pinned_people(MOST_PINNED))
    here["more"] = url_for(".all_people", q=words or None, cursor=following) if following else None
    return fragment("records/_people_found.html" if is_htmx() else "records/all_people.html", **here)


@blueprint.post("/patients/<int:patient_id>/pin")
def pin(patient_id: int) -> ResponseReturnValue:
    return _pin(patient_id, True)


@blueprint.post("/patients/<int:patient_id>/unpin")
def unpin(patient_id: int) -> ResponseReturnValue:
    return _pin(patient_id, False)


def _pin(patient_id: int, pinned: bool) -> ResponseReturnValue:
    """Pin a patient, or unpin it, and go back to the page with the button."""
    patient = records().pin_patient(patient_id, pinned).patient
    said = gettext("%(name)s pinned.") if pinned else gettext("%(name)s unpinned.")
    flash(said % {"name": patient.full_name}, "ok")
    lists = {"home": url_for(".home"), "people": url_for(".all_people")}
    return redirect(lists.get(request.form.get("from", "")) or url_for(".patient", patient_id=patient_id), 303)


def last_used(choosable: Sequence[PatientView]) -> PatientView | None:
    """Return the person among these who was used last."""
    by_id = {person.id: person for person in choosable}
    last = records().last_used(by_id) if len(by_id) > 1 else None
    return by_id[last.patient.id] if last else next(iter(choosable), None)


def _chosen(choosable: Sequence[PatientView]) -> PatientView | None:
    """Return the person whose inbox files are dropped into: the one chosen, or else the one used last."""
    chosen = parameters.read_id(request.args.get("to"))
    return next((person for person in choosable if person.id == chosen), None) or last_used(choosable)


def shown_people(most: int) -> tuple[list[PatientView], bool]:
    """Return all patients by name; if they are more than `most`, only the most recently used, and True.

    Pinned patients come first.
    """
    found, has_more = records().shown_people(most)
    return _views(found), has_more


def sidebar() -> Mapping[str, Any]:
    """Return the people in the sidebar, and whether there are more."""
    if "sidebar" not in g:
        found, has_more = shown_people(MOST_IN_SIDEBAR)
        g.sidebar = {"people": found, "has_more": has_more}
    return g.sidebar  # type: ignore[no-any-return]


def inbox_count() -> int:
    """Return the number of documents to be filed."""
    if "inbox_count" not in g:
        g.inbox_count = inbox().unfiled()
    return int(g.inbox_count)


def people(patient_ids: Collection[int]) -> list[PatientView]:
    """Return these patients, as far as the account can see them."""
    return _views(records().people_of(patient_ids))


def choosable(most: int) -> list[PatientView]:
    """Return all of the account's patients, pinned ones first, or none if they are more than `most`."""
    found, has_more = records().shown_people(most)
    return [] if has_more else _views(found)


def _views(found: Iterable[Summary]) -> list[PatientView]:
    return [views.patient_view(entry.patient, entry.level) for entry in found]
