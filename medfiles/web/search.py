"""The search page, and the results under the search field of every page."""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
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
from medfiles.web.lenses import lens

blueprint = Blueprint("search", __name__)
RESULTS = 20  # per page
QUICK = 6  # under the search field
MOST_PEOPLE = 100  # to choose from in a list


@dataclass(frozen=True)
class Choice:
    label: str
    url: str
    detail: str = ""


@dataclass(frozen=True)
class Chip:
    """A filter. If it is in use, `value` says what is shown and `url` is that of the results without it."""

    name: str
    icon: str
    label: str
    value: str = ""
    url: str = ""
    choices: Sequence[Choice] = ()


@blueprint.get("/search")
def search() -> ResponseReturnValue:
    registry, quick = services().registry, parameters.flag(request.args, "quick")
    wanted = parameters.search_query(request.args, registry)
    found = searches().search(wanted, QUICK if quick and is_htmx() else RESULTS)
    here = {"thumbnail_width": THUMBNAIL, "wanted": wanted, "results": result_views(found.items), "total": found.total}
    here["more"] = _address(wanted.query(), cursor=found.next) if found.next else None
    here["everything"] = _address(wanted.query())
    here["lens"] = lens
    if is_htmx() and (quick or wanted.cursor):
        return fragment("search/_quick.html" if quick else "search/_more.html", **here)
    chips = sorted(_chips(wanted), key=lambda chip: not chip.value)
    return fragment("search/_results.html" if is_htmx() else "search/page.html", chips=chips, **here)


def _chips(wanted: SearchQuery) -> Iterator[Chip]:
    """Return the filters in use with the URL of the results without each, the others with what there is to choose."""
    query, registry = wanted.query(), services().registry

    def chip(
        name: str, icon: str, label: str, choices: Iterable[tuple[object, str, str]], value: str = "", also: str = ""
    ) -> Chip:
        if value:
            return Chip(name, icon, label, value, _address(query, **{name: None, also or name: None}))
        links = (Choice(text, _address(query, **{name: key}), detail) for key, text, detail in choices)
        return Chip(name, icon, label, choices=tuple(links))

    people = home.choosable(MOST_PEOPLE)
    chosen = next((person.name for person in people if person.id == wanted.patient), gettext("One person"))
    of_people = ((person.id, person.name, day_and_number(person)) for person in people)
    if people or wanted.patient:
        yield chip("patient", "user", gettext("Person"), of_people, chosen if wanted.patient else "")
    types = ((record_type.name, record_type.titles, "") for record_type in registry)
    yield chip("type", "shapes", gettext("Type"), types, registry[wanted.type].titles if wanted.type else "")
    labels = {value: label for one in registry.every for value, label in one.category_labels}
    categories = ((value, label, "") for value, label in sorted(labels.items(), key=lambda entry: entry[1]))
    yield chip("category", "tag", gettext("Category"), categories, labels.get(wanted.category, ""))
    media = ((value, gettext(label), "") for value, label in GROUPS.items())
    yield chip("media", "file", gettext("File type"), media, gettext(GROUPS[wanted.media]) if wanted.media else "")
    yield chip("from", "calendar", gettext("Date"), (), _span(wanted), also="to")


def day_and_number(person: PatientView) -> str:
    """Return the birth date, and the number of a patient who has a namesake."""
    born = day(person.birth_date)
    return f"{born} · {gettext('No. %(number)s', number=person.number)}" if person.number else born


def _span(wanted: SearchQuery) -> str:
    """Return the days that the results are from; a whole year by its number."""
    first, last = wanted.from_, wanted.to
    if first and last:
        if (first, last) == (first.replace(month=1, day=1), first.replace(month=12, day=31)):
            return str(first.year)
        return gettext("%(first)s to %(last)s", first=day(first), last=day(last))
    if first:
        return gettext("From %(day)s", day=day(first))
    return gettext("Until %(day)s", day=day(last)) if last else ""


def _address(query: Mapping[str, str], **changed: object) -> str:
    """Return the URL of the results of this query with some parameters changed; None removes one."""
    parameters: dict[str, Any] = {**query, **changed}
    return url_for(".search", **parameters)
