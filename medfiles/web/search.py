"""The search page, and the results under the search field of every page."""

from collections.abc import Iterator, Sequence
from typing import Any

from flask import Blueprint, request, url_for
from flask.typing import ResponseReturnValue

from medfiles.http import parameters
from medfiles.http.current import searches, services
from medfiles.http.htmx import fragment, is_htmx
from medfiles.http.views import PatientView, result_views
from medfiles.i18n import gettext
from medfiles.record_types.media_types import GROUPS
from medfiles.sandbox.render.spec import THUMBNAIL
from medfiles.search.query import SearchQuery
from medfiles.web import home
from medfiles.web.filters import day

blueprint = Blueprint("search", __name__)
RESULTS = 20  # per page
QUICK = 6  # under the search field
MOST_PEOPLE = 100  # to choose from in a list


@blueprint.get("/search")
def search() -> ResponseReturnValue:
    registry, quick = services().registry, parameters.flag(request.args, "quick")
    wanted = parameters.search_query(request.args, registry)
    found = searches().search(wanted, QUICK if quick and is_htmx() else RESULTS)
    here = {"thumbnail_width": THUMBNAIL, "wanted": wanted, "results": result_views(found.items), "total": found.total}
    first: dict[str, Any] = dict(wanted.query())
    here["more"] = url_for(".search", **first, cursor=found.next) if found.next else None
    here["everything"] = url_for(".search", **first)
    if is_htmx():
        template = "search/_quick.html" if quick else "search/_results.html"
        if wanted.cursor:
            template = "search/_more.html"
        return fragment(template, chips=list(_chips(wanted)), **here)
    people = home.choosable(MOST_PEOPLE)
    choices = {"people": people, "types": registry, "categories": _categories(), "media_groups": GROUPS}
    return fragment("search/page.html", chips=list(_chips(wanted, people)), **choices, **here)


def _categories() -> list[tuple[str, str]]:
    types = services().registry.every
    labels = {value: label for record_type in types for value, label in record_type.category_labels}
    return sorted(labels.items(), key=lambda entry: entry[1])


def _chips(wanted: SearchQuery, people: Sequence[PatientView] | None = None) -> Iterator[tuple[str, str]]:
    """Return a label for each filter in use, with the URL of the results without it."""
    query = wanted.query()

    def without(*names: str) -> str:
        rest: dict[str, Any] = {name: value for name, value in query.items() if name not in names}
        return url_for(".search", **rest)

    if wanted.patient:
        known = home.choosable(MOST_PEOPLE) if people is None else people
        name = next((person.name for person in known if person.id == wanted.patient), gettext("One person"))
        yield name, without("patient")
    if wanted.type:
        yield services().registry[wanted.type].titles, without("type")
    if wanted.category:
        yield dict(_categories())[wanted.category], without("category")
    if wanted.media:
        yield gettext(GROUPS[wanted.media]), without("media")
    if wanted.from_ and wanted.to:
        yield gettext("%(first)s to %(last)s", first=day(wanted.from_), last=day(wanted.to)), without("from", "to")
    elif wanted.from_:
        yield gettext("From %(day)s", day=day(wanted.from_)), without("from")
    elif wanted.to:
        yield gettext("Until %(day)s", day=day(wanted.to)), without("to")
