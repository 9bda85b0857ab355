"""The search endpoint."""

from typing import Literal, cast

from flask import Response, request

from medfiles.api.files import shown
from medfiles.api.schemas import SearchHit, SearchQuery, SearchResults
from medfiles.api.toolkit import blueprint, operation, reply
from medfiles.http import parameters
from medfiles.http.current import actor, searches, services
from medfiles.http.views import result_views

Kind = Literal["document", "record", "patient"]
USUAL, MOST = 20, 100  # hits per page: default and maximum


@blueprint.get("/search")
@operation(SearchResults, query=SearchQuery)
def search() -> Response:
    """Search documents, records and patients, the best match first."""
    wanted = parameters.search_query(request.args, services().registry)
    results = searches().search(wanted, parameters.number(request.args, "limit", USUAL, 1, MOST))
    items = []
    for view in result_views(results.items, you=actor().email):
        items.append(
            SearchHit(
                kind=cast(Kind, view.kind), id=view.id, entity_type=view.type.name if view.type else None,
                title=view.title, patient_id=view.patient.id, day=view.day if view.kind != "patient" else None,
                snippet=view.excerpt.text if view.excerpt else None,
                highlights=[list(span) for span in view.excerpt.highlights] if view.excerpt else [],
                page=view.excerpt.page if view.excerpt else None,
                boxes=[list(box) for box in view.excerpt.boxes] if view.excerpt else [],
                file=shown(view.file) if view.file else None,
            )
        )  # fmt: skip
    return reply(SearchResults(items=items, total=results.total, next=results.next))
