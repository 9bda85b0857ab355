"""People with access to a patient, over JSON."""

from flask import Response

from medfiles.api.schemas import NewShare, Share, Shares
from medfiles.api.toolkit import blueprint, operation, reply, sent
from medfiles.http.current import shares
from medfiles.records.sharing import Given


@blueprint.get("/patients/<int:patient_id>/shares")
@operation("Who else has access to a patient of yours", Shares)
def shares_of(patient_id: int) -> Response:
    return reply(Shares([_shown(given) for given in shares().list(patient_id)]))


@blueprint.post("/patients/<int:patient_id>/shares")
@operation("Give an account access, or change what it has", Share, status=201, also=(200,), body=NewShare)
def share(patient_id: int) -> Response:
    shares().list(patient_id)
    asked = sent(NewShare)
    given, new = shares().give(patient_id, asked.email, asked.level, asked.expires_at)
    return reply(_shown(given), 201 if new else 200)


@blueprint.delete("/shares/<int:share_id>")
@operation("Take access back; at once", Share)
def unshare(share_id: int) -> Response:
    return reply(_shown(shares().take_back(share_id)))


def _shown(given: Given) -> Share:
    said = {name: getattr(given.share, name) for name in Share.model_fields if name != "email"}
    return Share.model_validate({**said, "email": given.email})
