"""Preview pictures under URLs that change with their content."""

import structlog
from flask import Response
from flask.typing import ResponseReturnValue

from medfiles.errors import BlobMissing, MedfilesError
from medfiles.http.current import previews
from medfiles.http.errors import RETRY_SECONDS
from medfiles.http.responses import send_picture
from medfiles.previews.service import NoPreview
from medfiles.sandbox.pool import Busy
from medfiles.sandbox.render import spec
from medfiles.web.fragments import blueprint

log = structlog.get_logger("medfiles.pictures")
REVALIDATED = "private, max-age=300, must-revalidate"  # sign-out clears the browser's cache


@blueprint.get("/files/<int:file_id>/pictures/<sha256>-<recipe>/<int:page>.webp")
def picture(file_id: int, sha256: str, recipe: str, page: int) -> ResponseReturnValue:
    try:
        found = previews().picture(file_id, sha256, recipe, page)
    except (NoPreview, Busy, BlobMissing) as error:
        if not spec.parse_recipe(recipe).is_thumbnail:
            raise
        return _no_thumbnail(file_id, error)
    return send_picture(found, **{"Cache-Control": REVALIDATED})


def _no_thumbnail(file_id: int, error: MedfilesError) -> Response:
    """Answer 204 for a missing thumbnail: lists show an icon, browsers log no error."""
    if isinstance(error, BlobMissing):
        log.error("document without its content", file_id=file_id)
    return Response(status=204, headers={"Retry-After": RETRY_SECONDS} if isinstance(error, Busy) else {})
