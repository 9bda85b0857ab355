"""Receive and send photos of patients."""

from flask import Response, request

from medfiles.errors import EmptyFile, Rejected
from medfiles.http import request_body
from medfiles.http.current import documents, photos, services
from medfiles.http.responses import send_picture
from medfiles.i18n import gettext
from medfiles.models import Patient

CACHE = "private, max-age=300, must-revalidate"


def receive_photo(patient_id: int) -> Patient:
    """Store the picture in the request as the photo of a patient. Limits are those of the patient's documents."""
    record_type = services().registry.patient
    permit = documents().authorize_upload(record_type, patient_id, request_body.content_length(request), 1)
    request.max_content_length = (request.content_length or 0) + 1  # the limit has just been checked
    received, _ = request_body.receive(request, documents(), permit)
    [file], others = received[:1], received[1:]
    try:
        if others:
            raise Rejected(gettext("Send one file per request."))
        if file.refusal or file.staged is None:
            raise file.refusal or EmptyFile(gettext("This file is empty."))
        return photos().set(patient_id, file.staged, file.name)
    finally:
        for one in received:
            if one.staged is not None:
                one.staged.discard()


def send_photo(patient_id: int) -> Response:
    return send_picture(photos().open(patient_id), **{"Cache-Control": CACHE})
