"""Endpoints for people with access to a patient, and for invitations."""

from flask import Response

from medfiles.api.schemas import Invitation, Invitations, NewShare, Share, Shares
from medfiles.api.toolkit import blueprint, operation, reply, sent
from medfiles.http.current import shares
from medfiles.records.sharing import Grant


@blueprint.get("/patients/<int:patient_id>/shares")
@operation(Shares)
def shares_of(patient_id: int) -> Response:
    """List who else has access to a patient of yours, or is invited."""
    return reply(Shares([_shown(grant) for grant in shares().list(patient_id)]))


@blueprint.post("/patients/<int:patient_id>/shares")
@operation(
    Share, {201: "Invited", 200: "The address already had access or an invitation, which was changed"}, body=NewShare
)
def share(patient_id: int) -> Response:
    """Invite an account to a patient, or change its access. A token needs the scope share."""
    shares().list(patient_id)
    asked = sent(NewShare)
    grant, new = shares().grant(patient_id, asked.email, asked.level, asked.expires_at)
    return reply(_shown(grant), 201 if new else 200)


@blueprint.delete("/shares/<int:share_id>")
@operation(Share)
def unshare(share_id: int) -> Response:
    """Revoke access or an invitation, with immediate effect."""
    return reply(_shown(shares().revoke(share_id)))


@blueprint.get("/invitations")
@operation(Invitations)
def invitations() -> Response:
    """List the invitations that wait for your account to accept."""
    found = shares().invitations()
    names = ("id", "level", "created_at", "expires_at")
    said = [{name: getattr(one.share, name) for name in names} for one in found]
    pairs = zip(found, said, strict=True)
    return reply(Invitations([Invitation(patient=one.patient, owner=one.owner, **more) for one, more in pairs]))


@blueprint.post("/invitations/<int:share_id>/accept")
@operation(Share)
def accept(share_id: int) -> Response:
    """Accept an invitation: from now on you have access."""
    return reply(_shown(shares().accept(share_id)))


@blueprint.delete("/invitations/<int:share_id>")
@operation(Share)
def decline(share_id: int) -> Response:
    """Decline an invitation."""
    return reply(_shown(shares().decline(share_id)))


def _shown(grant: Grant) -> Share:
    said = {name: getattr(grant.share, name) for name in Share.model_fields if name != "email"}
    return Share.model_validate({**said, "email": grant.email})
