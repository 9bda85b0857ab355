"""People with access to a patient, over JSON."""

from flask import Response

from medfiles.api.schemas import NewShare, Share, Shares
from medfiles.api.toolkit import blueprint, operation, reply, sent
from medfiles.http.current import shares
from medfiles.records.sharing import Grant


@blueprint.get("/patients/<int:patient_id>/shares")
@operation(Shares)
def shares_of(patient_id: int) -> Response:
    """List who else has access to a patient of yours."""
    return reply(Shares([_shown(grant) for grant in shares().list(patient_id)]))


@blueprint.post("/patients/<int:patient_id>/shares")
@operation(Share, {201: "Shared", 200: "The account had access before; it was changed"}, body=NewShare)
def share(patient_id: int) -> Response:
    """Give an account access to a patient, or change its access."""
    shares().list(patient_id)
    asked = sent(NewShare)
    grant, new = shares().grant(patient_id, asked.email, asked.level, asked.expires_at)
    return reply(_shown(grant), 201 if new else 200)


@blueprint.delete("/shares/<int:share_id>")
@operation(Share)
def unshare(share_id: int) -> Response:
    """Revoke access, with immediate effect."""
    return reply(_shown(shares().revoke(share_id)))


def _shown(grant: Grant) -> Share:
    said = {name: getattr(grant.share, name) for name in Share.model_fields if name != "email"}
    return Share.model_validate({**said, "email": grant.email})
