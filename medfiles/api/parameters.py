"""What requests carry beside their body, and answers in their headers, as the OpenAPI document says it."""

from collections.abc import Mapping
from typing import Any

from medfiles.api.door import Operation
from medfiles.api.schemas import LARGEST_ID
from medfiles.entities import Registry
from medfiles.listing import CURSOR_LIMIT, ORDERS, SEARCH_LIMIT
from medfiles.media import MEDIA

ID: dict[str, Any] = {"type": "integer", "minimum": 0, "maximum": LARGEST_ID}
DAY = {"type": "string", "format": "date"}
QUERY: Mapping[str, tuple[str, dict[str, Any]]] = {
    "q": ("Words in the name or the description", {"type": "string", "maxLength": SEARCH_LIMIT}),
    "category": ("One of the kind’s categories, or none", {"type": "string"}),
    "media": ("The kind of document", {"type": "string", "enum": ["", *MEDIA]}),
    "from": ("First day of upload, in `zone`", DAY),
    "to": ("Last day of upload, in `zone`", DAY),
    "zone": ("Time zone of the days, such as Europe/Berlin; UTC by itself", {"type": "string"}),
    "sort": ("What the list is sorted by", {"type": "string", "enum": ["", *ORDERS]}),
    "order": ("asc or desc; by itself the newest, largest or first", {"type": "string", "enum": ["", "asc", "desc"]}),
    "cursor": (
        "Where the page begins, from the Link of the page before",
        {"type": "string", "maxLength": CURSOR_LIMIT},
    ),
    "trashed": ("1: the documents in the trash instead, for who may edit", {"type": "string", "enum": ["0", "1"]}),
    "limit": ("Documents in a page", {"type": "integer", "minimum": 1, "maximum": 200, "default": 50}),
    "ids": (
        "Numbers of documents, separated by commas",
        {"type": "string", "pattern": r"^[0-9]{1,18}(,[0-9]{1,18})*$"},
    ),
    "description": ("For raw bytes: what it is", {"type": "string", "maxLength": 1000}),
    "upload category": ("For raw bytes: one of the kind’s categories", {"type": "string"}),
}
NEEDED = ("ids",)
UPLOAD_HEADERS = {
    "Idempotency-Key": "Up to 255 characters of your own for this upload: a retry stores no second document",
    "Content-Disposition": "For raw bytes: attachment; filename*=UTF-8''letter.pdf",
}
HEADERS: Mapping[str, Mapping[str, str]] = {
    "file": {"ETag": "For If-Match when it is changed"},
    "files": {"Link": 'The next page, rel="next"', "X-Total-Count": "How many match, on all pages"},
    "upload": {"Location": "The document", "ETag": "For If-Match when it is changed"},
    "bytes": {
        "ETag": "The SHA-256 of the document",
        "Repr-Digest": "The SHA-256 of the document (RFC 9530)",
        "Content-Disposition": "Its name (RFC 6266)",
        "Content-Range": "The part that was asked for",
    },
}


def kind(registry: Registry) -> dict[str, Any]:
    return {"type": "string", "enum": [name for kind in registry for name in (kind.name, kind.plural)]}


def of(operation: Operation, registry: Registry) -> list[dict[str, Any]]:
    found = [_in_query(name) for name in operation.query]
    if operation.answer == "upload":
        found += [_in_query("description"), _in_query("upload category")]
        found += [_in_header(name, words) for name, words in UPLOAD_HEADERS.items()]
    if operation.conditional:
        found.append(_in_header("If-Match", "The ETag that you saw: 412 when it was changed since"))
    return found


def _in_query(name: str) -> dict[str, Any]:
    words, schema = QUERY[name]
    said = {"name": name.removeprefix("upload "), "in": "query", "description": words, "schema": schema}
    return said | ({"required": True} if name in NEEDED else {})


def _in_header(name: str, words: str) -> dict[str, Any]:
    return {"name": name, "in": "header", "description": words, "schema": {"type": "string"}}
