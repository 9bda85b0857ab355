"""The home page, the list of all people, and the people in the sidebar."""

from collections.abc import Iterable, Mapping
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
    family, has_more = records().shown_people(MOST_PEOPLE)
    people, recent = _views(family), documents().recent(limit=MOST_RECENT)
    others = {file.patient_id for file in recent} - {person.id for person in people}
    owners = {person.id: person for person in (*people, *_views(records().people_of(others)))}
    return render_template(
        "records/home.html",
        people=people,
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


def sidebar() -> Mapping[str, Any]:
    """Return the people in the sidebar, and whether there are more."""
    if "sidebar" not in g:
        found, has_more = records().shown_people(MOST_IN_SIDEBAR)
        g.sidebar = {"people": _views(found), "has_more": has_more}
    return g.sidebar  # type: ignore[no-any-return]


def patients() -> tuple[PatientView, ...]:
    """Return all of the account's patients, ordered by name."""
    return tuple(_views(records().patients(counted=False)))


def choosable(most: int) -> list[PatientView]:
    """Return all of the account's patients, by name, or none if they are more than `most`."""
    found, has_more = records().shown_people(most)
    return [] if has_more else _views(found)


def _views(found: Iterable[Summary]) -> list[PatientView]:
    return [views.patient_view(entry.patient, entry.level) for entry in found]
