"""The home page, the list of all people, and the people in the sidebar."""

from collections.abc import Collection, Iterable, Mapping
from typing import Any

from flask import g, render_template, request, url_for
from flask.typing import ResponseReturnValue

from medfiles.documents.listing import SEARCH_LIMIT
from medfiles.http import parameters, views
from medfiles.http.current import documents, records, shares
from medfiles.http.htmx import fragment, is_htmx
from medfiles.http.views import PatientView, file_views
from medfiles.permissions import Action
from medfiles.records.service import Summary
from medfiles.text import clean_text
from medfiles.web.records import blueprint

MOST_RECENT = 12  # documents on the home page: two rows of six
MOST_PEOPLE = 12  # on the home page
MOST_IN_SIDEBAR = 8
PEOPLE_PER_PAGE = 100


@blueprint.get("/")
def home() -> ResponseReturnValue:
    shown, has_more = shown_people(MOST_PEOPLE)
    if has_more:  # the sidebar shows the first of them
        g.sidebar = {"people": shown[:MOST_IN_SIDEBAR], "has_more": True}
    recent = documents().recent(limit=MOST_RECENT)
    others = {file.patient_id for file in recent} - {person.id for person in shown}
    owners = {person.id: person for person in (*shown, *people(others))}
    return render_template(
        "records/home.html",
        people=shown,
        has_more=has_more,
        recent=file_views(recent, titled=True, people=owners),
        trashed=[views.patient_view(one, Action.OWN) for one in records().trashed_patients()],
        invitations=shares().invitations(),
    )


@blueprint.get("/patients")
def all_people() -> ResponseReturnValue:
    words = clean_text(request.args.get("q"), SEARCH_LIMIT, "The search term (“q”)") or ""
    cursor = parameters.people_cursor(request.args)
    found, hits, following = records().find_people(words, cursor, PEOPLE_PER_PAGE)
    more = url_for(".all_people", q=words or None, cursor=following) if following else None
    template = "records/_people_found.html" if is_htmx() else "records/all_people.html"
    return fragment(template, people=_views(found), hits=hits, words=words, more=more)


def shown_people(most: int) -> tuple[list[PatientView], bool]:
    """Return all patients by name; if they are more than `most`, only the most recently used, and True."""
    found, has_more = records().shown_people(most)
    return _views(found), has_more


def sidebar() -> Mapping[str, Any]:
    """Return the people in the sidebar, and whether there are more."""
    if "sidebar" not in g:
        found, has_more = shown_people(MOST_IN_SIDEBAR)
        g.sidebar = {"people": found, "has_more": has_more}
    return g.sidebar  # type: ignore[no-any-return]


def people(patient_ids: Collection[int]) -> list[PatientView]:
    """Return these patients, as far as the account can see them."""
    return _views(records().people_of(patient_ids))


def choosable(most: int) -> list[PatientView]:
    """Return all of the account's patients, by name, or none if they are more than `most`."""
    found, has_more = records().shown_people(most)
    return [] if has_more else _views(found)


def _views(found: Iterable[Summary]) -> list[PatientView]:
    return [views.patient_view(entry.patient, entry.level) for entry in found]
