"""Endpoints for SMART Health Links: create, list, end."""

from datetime import datetime
from typing import Literal

from flask import Response

from medfiles.api.schemas import TIME, In, Out, doc, root
from medfiles.api.toolkit import blueprint, operation, reply, sent
from medfiles.http import smart_links as http_smart_links
from medfiles.http.current import smart_links
from medfiles.http.smart_links import Created
from medfiles.smart_links.service import SmartSummary

Kind = Literal["desk", "paper", "app", "up-to-date"]
KIND_WORDS = (
    "desk: one file, for 15 minutes; paper: one file, for 48 hours; app: a manifest; up-to-date: a manifest whose file "
    "is made again when the documents change. The last two last as long as the share link and ask for its passcode"
)
EXAMPLE = (
    "https://records.example.org/shl/v#shlink:/eyJ1cmwiOiJodHRwczovL3JlY29yZHMuZXhhbXBsZS5vcmcvc2hsL2gxalh5THc1S3E3dzJG"
)


class NewSmartLink(In):
    """A SMART Health Link to the documents that a share link shows."""

    kind: Kind = doc(KIND_WORDS, "desk", default="desk")
    each_document: bool = doc(
        "Whether apps get each PDF also as a document of its own, not only in the one that has all", True, default=True
    )


class SmartLink(Out):
    """A SMART Health Link."""

    id: int = doc(None, 4)
    kind: Kind = doc(None, "desk")
    flags: str = doc("Those of the specification: U one file, P passcode, L long-term", "U")
    state: Literal["preparing", "failed", "ready", "paused", "expired", "ended"] = doc(
        "failed: preparing failed, and is tried again", "ready"
    )
    created_at: datetime = doc(None, TIME)
    expires_at: datetime = doc(None, "2026-05-12T09:45:00Z")


class CreatedSmartLink(SmartLink):
    """A new SMART Health Link with its text, which cannot be retrieved later."""

    smart_health_link: str = doc("The link, behind the address of a page that reads it in a browser", EXAMPLE)
    qr: str = doc("The text of its QR code", EXAMPLE)


SmartLinks = root("SmartLinks", list[SmartLink], "Newest first.")


@blueprint.get("/links/<int:link_id>/smart")
@operation(SmartLinks)
def smart_links_of(link_id: int) -> Response:
    """List the SMART Health Links of a share link."""
    found = smart_links().smart_links(link_id)
    return reply(SmartLinks([SmartLink.model_validate(_shown(summary)) for summary in found]))


@blueprint.post("/links/<int:link_id>/smart")
@operation(
    CreatedSmartLink, {201: "Created", 202: "Created, and being prepared: it opens once ready"}, body=NewSmartLink
)
def create_smart_link(link_id: int) -> Response:
    """Create a SMART Health Link to the documents of a share link for downloading. A token needs the scope share."""
    smart_links().get(link_id)
    asked = sent(NewSmartLink)
    created = http_smart_links.create(link_id, asked.kind, each_document=asked.each_document)
    summary = next(one for one in smart_links().smart_links(link_id) if one.smart.id == created.made.smart.id)
    made = {**_shown(summary), "smart_health_link": created.address, "qr": created.address}
    return reply(CreatedSmartLink.model_validate(made), status_of(created))


@blueprint.delete("/links/<int:link_id>/smart/<int:smart_id>")
@operation(SmartLink)
def end_smart_link(link_id: int, smart_id: int) -> Response:
    """Permanently end a SMART Health Link. Its share link stays."""
    return reply(SmartLink.model_validate(_shown(smart_links().end_smart(link_id, smart_id))))


def status_of(created: Created | None) -> int:
    """Return 202 if the documents of a new link are still being prepared."""
    return 201 if created is None or created.is_ready else 202


def _shown(summary: SmartSummary) -> dict[str, object]:
    found = summary.smart
    names = ("id", "kind", "flags", "created_at", "expires_at")
    return {**{name: getattr(found, name) for name in names}, "state": summary.state.value}
