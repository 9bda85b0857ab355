"""What requests carry beside their body, and answers in their headers, as the OpenAPI document says it."""

import re
from collections.abc import Iterator, Mapping
from typing import Any

from medfiles.api.schemas import LARGEST_ID, detail_schema
from medfiles.api.toolkit import Operation
from medfiles.documents.listing import CURSOR_LIMIT, SEARCH_LIMIT, SORTS
from medfiles.record_types.declared import Registry
from medfiles.record_types.document_fields import FILTER_FIELDS, UPLOAD_FIELDS
from medfiles.record_types.media_types import GROUPS
from medfiles.sandbox.render.spec import WIDTHS

Said = dict[str, Any]
ID: Said = {"type": "integer", "minimum": 0, "maximum": LARGEST_ID}
TEXT: Said = {"type": "string"}
DAY: Said = {"type": "string", "format": "date"}
PATH: Mapping[str, tuple[str, Any]] = {  # what it is, an example
    "patient_id": ("A patient’s number", 3),
    "type": ("A kind of record", "visit"),
    "id": ("A record’s number", 7),
    "file_id": ("A document’s number", 1000000001),
    "share_id": ("A share’s number", 5),
    "number": ("A document’s older number; the one it has now is taken, too", 42),
}
QUERY: Mapping[str, tuple[str, Said, Any]] = {  # what it is, what it may be, an example
    "q": ("Words that all occur in the name or the description", {"type": "string", "maxLength": SEARCH_LIMIT}, "knee"),
    **{field.name: (f"{field.about}, or none", detail_schema(field), field.example) for field in FILTER_FIELDS},
    "media": ("The kind of document", {"type": "string", "enum": ["", *GROUPS]}, "pdf"),
    "from": ("First day of upload, in `zone`; in the trash, of deletion", DAY, "2026-05-01"),
    "to": ("Last day of upload, in `zone`; in the trash, of deletion", DAY, "2026-05-31"),
    "zone": ("Time zone of the days; by itself UTC", TEXT, "Europe/Berlin"),
    "sort": ("What the list is sorted by; by itself the day", {"type": "string", "enum": ["", *SORTS]}, "name"),
    "order": (
        "By itself the newest, the largest, or A before Z",
        {"type": "string", "enum": ["", "asc", "desc"]},
        "asc",
    ),
    "cursor": (
        "Where the page begins: from the `Link` of the page before",
        {"type": "string", "maxLength": CURSOR_LIMIT},
        "",
    ),
    "trashed": (
        "1: the documents in the trash instead, for who may edit",
        {"type": "string", "enum": ["0", "1"]},
        "0",
    ),
    "limit": ("Documents in a page", {"type": "integer", "minimum": 1, "maximum": 200, "default": 50}, 50),
    "direct": (
        "1: an address in the object store instead, where the installation gives such links; else the bytes",
        {"type": "string", "enum": ["0", "1"]},
        "0",
    ),
    "ids": (
        "Numbers of documents, separated by commas, up to 500",
        {"type": "string", "pattern": r"^[0-9]{1,18}(,[0-9]{1,18})*$"},
        "1000000001,1000000002",
    ),
    "page": (
        "Which page, frame or sheet, counted from 1",
        {"type": "integer", "minimum": 1, "maximum": 999_999, "default": 1},
        1,
    ),
    "width": ("Pixels the picture is wide at most", {"type": "integer", "enum": list(WIDTHS), "default": 960}, 960),
    "window": (
        "Of DICOM images: centre and width in the image’s own values",
        {"type": "string", "pattern": r"^-?[0-9]{1,7}(\.[0-9]{1,3})?,[0-9]{1,7}(\.[0-9]{1,3})?$"},
        "40,400",
    ),
    **{
        f"upload {field.name}": (f"For raw bytes: {field.about}", detail_schema(field), field.example)
        for field in UPLOAD_FIELDS
    },
}
NEEDED = ("ids",)
SENT: Mapping[str, tuple[str, str]] = {  # request headers: what they are for, an example
    "Idempotency-Key": (
        "1 to 255 characters of your own for this upload: a retry with the same stores no second document",
        "scan-2026-05-12-1",
    ),
    "Content-Disposition": ("For raw bytes: the name", "attachment; filename*=UTF-8''Referral.pdf"),
    "If-Match": ("The `ETag` that you saw: 412 when it was changed since", '"20260512T093000.000000"'),
    "If-None-Match": ("The `ETag` that you have: 304 when it is still the same", '"20260512T093000.000000"'),
    "Range": ("A part of the document", "bytes=0-1023"),
    "If-Range": ("The `ETag` of what you have: the whole document when it is another", '"9f86d081884c7d65"'),
}
HEADERS: Mapping[str, Mapping[str, str]] = {
    "file": {"ETag": "For `If-Match` when it is changed"},
    "files": {"Link": 'The next page: `<…>; rel="next"`', "X-Total-Count": "How many match, on all pages"},
    "upload": {"Location": "The document; only with 201", "ETag": "For `If-Match` when it is changed"},
    "bytes": {
        "ETag": "The SHA-256 of the document",
        "Repr-Digest": "The SHA-256 of the document (RFC 9530)",
        "Content-Disposition": "Its name (RFC 6266)",
        "Content-Range": "With 206: which part it is, and of how many bytes",
    },
    "picture": {"ETag": "Another one when the picture is"},
    "preview": {"ETag": "Another one when it is"},
    "zip": {"Content-Disposition": "A name for the ZIP", "Content-Length": "Its exact size"},
}
OLDER: Mapping[str, str] = {
    "Deprecation": "Since when this address is an older one (RFC 9745)",
    "Link": 'What to use instead: `<…>; rel="successor-version"`',
}


def kind(registry: Registry) -> Said:
    return {
        "type": "string",
        "enum": [name for record_type in registry for name in (record_type.name, record_type.plural)],
    }


def in_path(rule: str, registry: Registry) -> Iterator[Said]:
    for name in re.findall(r"<(?:\w+:)?(\w+)>", rule):
        words, example = PATH[name]
        schema = kind(registry) if name == "type" else ID
        yield {"name": name, "in": "path", "required": True, "description": words, "schema": schema, "example": example}


def of(operation: Operation, method: str) -> list[Said]:
    query, headers = list(operation.query), []
    if operation.answer == "upload":
        query += [f"upload {field.name}" for field in UPLOAD_FIELDS]
        headers += ["Idempotency-Key", "Content-Disposition"]
    if operation.conditional:
        headers.append("If-Match")
    if method == "GET" and operation.answer != "zip":
        headers.append("If-None-Match")
    if operation.answer == "bytes":
        headers += ["Range", "If-Range"]
    return [*map(_in_query, query), *map(_in_header, headers)]


def headers(operation: Operation, status: int) -> Said:
    """What an answer with this status carries beside its body."""
    if status == 307:
        return {"Location": _header("The address, good for a minute at most")}
    if status in (429, 503):
        return {"Retry-After": _header("Seconds to wait")}
    own = HEADERS.get(str(operation.answer), {}) if 200 <= status < 300 else {}
    older = OLDER if operation.deprecated else {}
    return {name: _header(words) for name, words in {**own, **older}.items()}


def _in_query(name: str) -> Said:
    words, schema, example = QUERY[name]
    said = {"name": name.removeprefix("upload "), "in": "query", "description": words, "schema": schema}
    return said | ({"required": True} if name in NEEDED else {}) | ({"example": example} if example != "" else {})


def _in_header(name: str) -> Said:
    words, example = SENT[name]
    return {"name": name, "in": "header", "description": words, "schema": TEXT, "example": example}


def _header(words: str) -> Said:
    return {"description": words, "schema": TEXT}
