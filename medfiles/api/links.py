"""Endpoints for share links: create, list, pause, resume, revoke, and who opened what."""

from datetime import datetime
from typing import Literal

from flask import Response
from pydantic import AwareDatetime

from medfiles.api.schemas import TIME, Ids, In, Out, doc, optional, root
from medfiles.api.smart_links import EXAMPLE, KIND_WORDS, Kind, status_of
from medfiles.api.toolkit import blueprint, operation, reply, sent
from medfiles.errors import Conflict, MedfilesError
from medfiles.http import smart_links
from medfiles.http.current import links
from medfiles.http.links import links_off, public_url
from medfiles.http.smart_links import Created
from medfiles.links.rules import MOST_DAYS, NAME_LIMIT, NOTE_LIMIT
from medfiles.links.service import LinkSummary


class NewLink(In):
    """Documents of one patient that anyone with the link can open, without an account."""

    file_ids: Ids = doc("In the order in which readers see them", [1000000001])
    label: str | None = optional("Whom it is for; readers do not see it", "Dr. Placeholder", max_length=NAME_LIMIT)
    sender: str | None = optional("Who shares, as readers see it", "Nora", max_length=NAME_LIMIT)
    note: str | None = optional("Shown to readers", "MRI and X-ray of the left knee", max_length=NOTE_LIMIT)
    expires_at: AwareDatetime | None = optional(f"Default: in 7 days. At most {MOST_DAYS} days from now", None)
    passcode: str | None = optional("At least 6 characters; absent: none", "482107")
    allow_download: bool = doc("Whether readers may download, not only view", False, default=False)
    smart_health_link: Kind | None = optional(
        f"Create a SMART Health Link too, which needs allow_download. {KIND_WORDS}", "desk"
    )


class Link(Out):
    """A share link."""

    id: int = doc(None, 12)
    patient_id: int = doc(None, 3)
    file_ids: list[int] = doc("The documents it shows now", [1000000001])
    gone: int = doc("How many it no longer shows: in the trash, moved to another patient or deleted", 0)
    label: str | None = doc(None, "Dr. Placeholder")
    sender: str | None = doc(None, "Nora")
    note: str | None = doc(None, "MRI and X-ray of the left knee")
    state: Literal["active", "paused", "revoked", "expired", "ended"] = doc(
        "ended: too many wrong passcodes, or the account that created it can no longer edit the patient", "active"
    )
    has_passcode: bool = doc(None, True)
    allow_download: bool = doc(None, False)
    created_at: datetime = doc(None, TIME)
    expires_at: datetime = doc(None, "2026-05-19T09:30:00Z")
    openings: int = doc("How often it was opened", 0)
    last_opened_at: datetime | None = doc(None, None)
    token_id: int | None = doc("The API token that created it; null: a person", None)


class CreatedLink(Link):
    """A new share link with its address, which cannot be retrieved later."""

    url: str = doc(
        "What to send to the reader", "https://records.example.org/s/h1jXyLw5Kq7w2Fnb0Zr8cT3vQ6mE9aPd4sUoRgIxYkA"
    )
    qr: str = doc(
        "The text of its QR code", "https://records.example.org/s/h1jXyLw5Kq7w2Fnb0Zr8cT3vQ6mE9aPd4sUoRgIxYkA"
    )
    smart_health_link: str | None = doc("On request: the link for a doctor’s app", EXAMPLE)


class LinkOpening(Out):
    """One time that the link was opened."""

    at: datetime = doc(None, TIME)
    reader: str | None = doc("What the reader called themselves; not checked", "Front desk")
    browser: str | None = doc(None, "Firefox")
    address: str | None = doc("The network of the reader’s IP address; erased after 90 days", "192.0.2.0/24")
    file_ids: list[int] = doc("The documents viewed or downloaded", [1000000001])
    downloaded: list[int] = doc("Those that were downloaded", [])


Links = root("Links", list[Link], "Newest first.")
LinkOpenings = root("LinkOpenings", list[LinkOpening], "Newest first, at most 100.")


@blueprint.get("/patients/<int:patient_id>/links")
@operation(Links)
def links_of(patient_id: int) -> Response:
    """List the share links of a patient you can edit."""
    return reply(Links([Link.model_validate(_shown(summary)) for summary in links().of_patient(patient_id)]))


@blueprint.post("/patients/<int:patient_id>/links")
@operation(
    CreatedLink, {201: "Created", 202: "Created, and its SMART Health Link is being prepared"}, body=NewLink
)  # fmt: skip
def create_link(patient_id: int) -> Response:
    """Share documents of a patient by link. A token needs the scope share."""
    links().choices(patient_id, ())
    asked = sent(NewLink)
    if reason := links_off():
        raise Conflict(reason)
    made = links().create(patient_id, **asked.model_dump(exclude={"smart_health_link"}))
    link_id, url = made.link.id, public_url(str(made.token))
    smart = _create_smart(link_id, asked.smart_health_link) if asked.smart_health_link else None
    told = {"url": url, "qr": url, "smart_health_link": smart.address if smart else None}
    return reply(CreatedLink.model_validate({**_shown(links().get(link_id)), **told}), status_of(smart))


@blueprint.get("/links/<int:link_id>")
@operation(Link)
def link(link_id: int) -> Response:
    """Return a share link. Its address cannot be retrieved."""
    return reply(Link.model_validate(_shown(links().get(link_id))))


@blueprint.delete("/links/<int:link_id>")
@operation(Link)
def revoke_link(link_id: int) -> Response:
    """Permanently end a share link, with immediate effect."""
    return reply(Link.model_validate(_shown(links().revoke(link_id))))


@blueprint.post("/links/<int:link_id>/pause")
@operation(Link)
def pause_link(link_id: int) -> Response:
    """Pause a share link until it is resumed."""
    return reply(Link.model_validate(_shown(links().pause(link_id))))


@blueprint.post("/links/<int:link_id>/resume")
@operation(Link)
def resume_link(link_id: int) -> Response:
    """Resume a paused share link."""
    return reply(Link.model_validate(_shown(links().resume(link_id))))


@blueprint.get("/links/<int:link_id>/opens")
@operation(LinkOpenings)
def openings(link_id: int) -> Response:
    """List when a share link was opened, and which documents were viewed."""
    found = [
        LinkOpening(
            at=one.at,
            reader=one.reader,
            browser=one.browser,
            address=one.address,
            file_ids=[file_id for file_id, _, _ in one.files],
            downloaded=[file_id for file_id, _, downloaded in one.files if downloaded],
        )
        for one in links().openings(link_id)
    ]
    return reply(LinkOpenings(found))


def _create_smart(link_id: int, kind: str) -> Created:
    """Create the SMART Health Link asked for with a share link. If it cannot be, end the share link."""
    try:
        return smart_links.create(link_id, kind, each_document=True)
    except MedfilesError:
        links().revoke(link_id)
        raise


def _shown(summary: LinkSummary) -> dict[str, object]:
    found = summary.link
    names = ("id", "patient_id", "label", "sender", "note", "allow_download", "created_at", "expires_at", "token_id")
    return {
        **{name: getattr(found, name) for name in names},
        "file_ids": [file.id for file in summary.documents],
        "gone": summary.gone,
        "state": summary.state.value,
        "has_passcode": found.passcode_hash is not None,
        "openings": summary.openings,
        "last_opened_at": summary.last_opened_at,
    }
