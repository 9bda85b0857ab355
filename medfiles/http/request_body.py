"""Receive uploads: read each body once into staged files, and reject truncated bodies."""

from contextlib import ExitStack
from dataclasses import dataclass, replace
from typing import IO, Any, cast

from flask import Request
from werkzeug.exceptions import ClientDisconnected, LengthRequired, RequestEntityTooLarge
from werkzeug.http import parse_options_header

from medfiles.documents.rules import FORM_OVERHEAD, UploadMetadata, UploadPermit, too_large
from medfiles.documents.service import DocumentService
from medfiles.errors import BadName, EmptyFile, MedfilesError, Rejected, TooLarge, Truncated
from medfiles.http import capacity, multipart, parameters, upload_check
from medfiles.http.parameters import opaque_key
from medfiles.i18n import N_, gettext
from medfiles.record_types.declared import RecordType
from medfiles.record_types.document_fields import UPLOAD_FIELDS
from medfiles.storage import Staged

CHUNK = 256 * 1024
TO_FILE = "to_file"  # parameter of uploads to the inbox
TRUNCATED = N_("The upload was cut off before it was complete. Please try again.")


@dataclass(frozen=True)
class ReceivedFile:
    """A received file: either completely staged, or with the error that stopped it."""

    name: str
    staged: Staged | None
    refusal: MedfilesError | None = None


class FormFile:
    """The form parser's target for one file.

    If the file exceeds the size limit, the rest is discarded, so that the form's other files can still be received.
    """

    def __init__(self, staged: Staged, too_large: TooLarge) -> None:
        self.staged, self.too_large = staged, too_large
        self.refusal: TooLarge | None = None

    def write(self, chunk: bytes) -> int:
        if self.refusal is None:
            try:
                return self.staged.write(chunk)
            except TooLarge:
                self.refusal = self.too_large
                self.staged.discard()
        return len(chunk)


class CountingStream:
    """A request body that counts the bytes received."""

    def __init__(self, stream: IO[bytes]) -> None:
        self._stream, self.count = stream, 0

    def read(self, size: int = -1) -> bytes:
        chunk = self._stream.read(size)
        self.count += len(chunk)
        return chunk


def content_length(request: Request) -> int:
    length = upload_check.announced_length()
    if length is None:
        raise LengthRequired()
    return length


def is_raw(request: Request) -> bool:
    return request.mimetype == "application/octet-stream"


def idempotency_key(request: Request) -> str | None:
    key = request.headers.get("Idempotency-Key")
    return None if key is None else opaque_key(gettext("The Idempotency-Key"), key, 255)


def receive(
    request: Request, service: DocumentService, permit: UploadPermit
) -> tuple[list[ReceivedFile], UploadMetadata]:
    """Read the body once and return its files and metadata. The caller must store or discard the staged files."""
    upload_check.end_check()
    details = {field.name: request.args.get(field.name) for field in UPLOAD_FIELDS}
    try:
        capacity.admit_upload()
        to_file = parameters.flag(request.args, TO_FILE)
        metadata = UploadMetadata("", details, idempotency_key(request), to_file)
        if is_raw(request):
            return [_receive_raw(request, service, permit)], metadata
        return _receive_form(request, service, permit, metadata)
    except MedfilesError as error:
        service.refuse(permit, "", error)
        raise


def receive_one(
    request: Request, service: DocumentService, record_type: RecordType, record_id: int
) -> tuple[Any, bool]:
    """Store a single upload. Return its document and True, or the earlier document and False for a retry."""
    permit = service.authorize_upload(record_type, record_id, content_length(request), 1, idempotency_key(request))
    request.max_content_length = (request.content_length or 0) + 1  # the record type's limit has just been checked
    received, metadata = receive(request, service, permit)
    if len(received) > 1:
        for file in received:
            if file.staged is not None:
                file.staged.discard()
        error = Rejected(gettext("Send one file per request."))
        service.refuse(permit, received[0].name, error)
        raise error
    return store(service, permit, received[0], metadata)


def store(
    service: DocumentService, permit: UploadPermit, received: ReceivedFile, metadata: UploadMetadata
) -> tuple[Any, bool]:
    """Store a received file as a document. Return the document, and True unless this is a retry.

    Raises the error that stopped the file from being received, if any.
    """
    if received.refusal or received.staged is None:
        error = received.refusal or EmptyFile(gettext("This file is empty."))
        service.refuse(permit, received.name, error)
        raise error
    return service.attach(permit, received.staged, replace(metadata, name=received.name))


def _receive_raw(request: Request, service: DocumentService, permit: UploadPermit) -> ReceivedFile:
    """Receive a body that is the file itself, named in `Content-Disposition: attachment; filename*=…`."""
    header = request.headers.get("Content-Disposition", "").encode("latin-1", "replace")
    disposition, options = parse_options_header(multipart.as_text(header))
    if disposition != "attachment" or not options.get("filename"):
        raise BadName(gettext("The file name is missing. Send it in Content-Disposition."))
    left, staged = content_length(request), service.stage(permit)
    file = FormFile(staged, too_large(permit.record_type))
    with ExitStack() as unfinished:
        unfinished.callback(staged.discard)
        try:
            while left and file.refusal is None and (chunk := request.stream.read(min(CHUNK, left))):
                file.write(chunk)
                left -= len(chunk)
        except ClientDisconnected as error:
            raise Truncated(TRUNCATED) from error
        if file.refusal:
            raise file.refusal
        if left:
            raise Truncated(TRUNCATED)
        unfinished.pop_all()
    return ReceivedFile(multipart.decoded_name(options["filename"]), staged)


def _receive_form(
    request: Request, service: DocumentService, permit: UploadPermit, metadata: UploadMetadata
) -> tuple[list[ReceivedFile], UploadMetadata]:
    if request.mimetype != "multipart/form-data":
        raise Rejected(gettext("No file was sent. Select one or more files first."))
    body, targets = CountingStream(request.stream), list[FormFile]()
    with ExitStack() as unfinished:

        def open_file() -> FormFile:
            targets.append(FormFile(service.stage(permit), too_large(permit.record_type)))
            unfinished.callback(targets[-1].staged.discard)
            return targets[-1]

        try:
            boundary = request.mimetype_params.get("boundary", "").encode("ascii")
            limits = (4 * FORM_OVERHEAD, permit.record_type.max_files * 4 + 16)
            fields, files = multipart.parse(cast(IO[bytes], body), boundary, open_file, *limits)
        except ValueError as error:
            if body.count < content_length(request):
                raise Truncated(TRUNCATED) from error
            raise Rejected(gettext("The upload form could not be read. Please try again.")) from error
        except ClientDisconnected as error:
            raise Truncated(TRUNCATED) from error
        except RequestEntityTooLarge as error:
            raise TooLarge(
                gettext("This upload has too many parts, or a field that is too long. Add fewer files at once.")
            ) from error
        if body.count != content_length(request):
            raise Truncated(TRUNCATED)
        found = [
            ReceivedFile(file_name, None if target.refusal else target.staged, target.refusal)
            for field, file_name, target in files
            if field == "file" and file_name
        ]
        if not found:
            raise Rejected(gettext("No file was selected. Select one or more files first."))
        if any(file_name for field, file_name, _ in files if field != "file"):
            raise Rejected(gettext("The file was sent in a field other than “file”. Nothing was added."))
        sent = parameters.single(fields, {*metadata.details, TO_FILE})
        to_file = metadata.to_file or parameters.flag(sent, TO_FILE)
        sent.pop(TO_FILE, None)
        unfinished.pop_all()
    for target in targets:
        if target.staged not in [received.staged for received in found]:
            target.staged.discard()
    return found, replace(metadata, details={**metadata.details, **sent}, to_file=to_file)
