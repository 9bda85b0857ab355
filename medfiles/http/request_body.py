"""Read uploads: stream bodies to staged files once, reject truncated ones."""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from typing import IO, Any

from flask import Request
from werkzeug.datastructures import FileStorage
from werkzeug.exceptions import ClientDisconnected, LengthRequired, RequestEntityTooLarge
from werkzeug.formparser import FormDataParser
from werkzeug.http import parse_options_header

from medfiles.documents.rules import FORM_OVERHEAD, UploadMetadata, UploadPermit, too_large
from medfiles.documents.service import DocumentService
from medfiles.errors import BadName, EmptyFile, MedfilesError, Rejected, TooLarge, Truncated
from medfiles.record_types.declared import RecordType
from medfiles.record_types.document_fields import UPLOAD_FIELDS
from medfiles.storage import Staged

CHUNK = 256 * 1024
TRUNCATED = "The upload was cut off before it was complete. Please try again."


@dataclass(frozen=True)
class ReceivedFile:
    """One received file: staged completely, or the error that stopped it."""

    name: str
    staged: Staged | None
    refusal: MedfilesError | None = None


class FormFile:
    """The form parser's target for one file.

    Beyond the size limit it drops the rest, so that other files of the form still arrive.
    """

    def __init__(self, staged: Staged, too_large: TooLarge) -> None:
        self.staged = staged
        self.too_large = too_large
        self.refusal: TooLarge | None = None

    def write(self, chunk: bytes) -> int:
        if self.refusal is None:
            try:
                return self.staged.write(chunk)
            except TooLarge:
                self.refusal = self.too_large
                self.staged.discard()
        return len(chunk)

    def seek(self, *_: Any) -> int:
        return 0  # the parser rewinds; the staged file is read by its path

    def close(self) -> None:
        return None


class CountingStream:
    """The request body, with a count of the bytes received."""

    def __init__(self, stream: IO[bytes]) -> None:
        self._stream = stream
        self.count = 0

    def read(self, size: int = -1) -> bytes:
        chunk = self._stream.read(size)
        self.count += len(chunk)
        return chunk


def content_length(request: Request) -> int:
    if request.content_length is None:
        raise LengthRequired()
    return request.content_length


def is_raw(request: Request) -> bool:
    return request.mimetype == "application/octet-stream"


def raw_name(request: Request) -> str:
    """Return a raw upload's name, from `Content-Disposition: attachment; filename*=…`."""
    disposition, options = parse_options_header(request.headers.get("Content-Disposition"))
    if disposition != "attachment" or not options.get("filename"):
        raise BadName("The file name is missing. Send it in Content-Disposition.")
    return options["filename"]


def receive(
    request: Request, service: DocumentService, permit: UploadPermit
) -> tuple[list[ReceivedFile], UploadMetadata]:
    """Read the body once; return its files and metadata. The caller owns staged files."""
    try:
        return _receive(request, service, permit)
    except MedfilesError as error:
        service.refuse(permit, "", error)
        raise


def receive_one(
    request: Request, service: DocumentService, record_type: RecordType, record_id: int
) -> tuple[Any, bool]:
    """Store a single upload; return it and True, on a retry the earlier one and False."""
    permit = service.authorize_upload(record_type, record_id, content_length(request), 1, idempotency_key(request))
    request.max_content_length = (request.content_length or 0) + 1  # the record type's limit was just checked
    received, metadata = receive(request, service, permit)
    if len(received) > 1:
        for file in received:
            _give_up(file)
        error = Rejected("Send one file per request.")
        service.refuse(permit, received[0].name, error)
        raise error
    return store(service, permit, received[0], metadata)


def store(
    service: DocumentService, permit: UploadPermit, received: ReceivedFile, metadata: UploadMetadata
) -> tuple[Any, bool]:
    """Store a received file as a document; return it, and False for a retry."""
    if received.refusal or received.staged is None:
        error = received.refusal or EmptyFile("This file is empty.")
        service.refuse(permit, received.name, error)
        raise error
    return service.attach(permit, received.staged, replace(metadata, name=received.name))


def _give_up(received: ReceivedFile) -> None:
    if received.staged is not None:
        received.staged.discard()


def _receive(
    request: Request, service: DocumentService, permit: UploadPermit
) -> tuple[list[ReceivedFile], UploadMetadata]:
    metadata = UploadMetadata(
        name="",
        details={field.name: request.args.get(field.name) for field in UPLOAD_FIELDS},
        idempotency_key=idempotency_key(request),
    )
    if is_raw(request):
        return [_raw(request, service, permit)], metadata
    return _form(request, service, permit, metadata)


def idempotency_key(request: Request) -> str | None:
    key = request.headers.get("Idempotency-Key")
    if key is not None and not (0 < len(key) <= 255 and key.isascii() and key.isprintable()):
        raise Rejected("The Idempotency-Key must be 1 to 255 printable ASCII characters.")
    return key


def _raw(request: Request, service: DocumentService, permit: UploadPermit) -> ReceivedFile:
    name, length = raw_name(request), content_length(request)
    staged = service.stage(permit)
    form_file = FormFile(staged, too_large(permit.record_type))
    with _discard_on_error([staged]):
        body, left = request.stream, length
        while left and form_file.refusal is None and (chunk := _read(body, min(CHUNK, left))):
            form_file.write(chunk)
            left -= len(chunk)
        if form_file.refusal:
            raise form_file.refusal
        if left:
            raise Truncated(TRUNCATED)
    return ReceivedFile(name, staged)


def _form(
    request: Request, service: DocumentService, permit: UploadPermit, metadata: UploadMetadata
) -> tuple[list[ReceivedFile], UploadMetadata]:
    form_files: list[FormFile] = []
    if request.mimetype != "multipart/form-data":
        raise Rejected("No file was sent. Select one or more files first.")

    def form_file(*_: Any, **__: Any) -> FormFile:
        form_files.append(FormFile(service.stage(permit), too_large(permit.record_type)))
        return form_files[-1]

    body = CountingStream(request.stream)
    parser = FormDataParser(
        stream_factory=form_file,  # type: ignore[arg-type]
        max_form_memory_size=4 * FORM_OVERHEAD,
        max_form_parts=permit.record_type.max_files * 4 + 16,
        silent=False,
    )
    with _discard_on_error([]) as staged:
        fields, files = _parse(parser, request, body, staged, form_files)
        if body.count != content_length(request):
            raise Truncated(TRUNCATED)
        found = [_received(file) for file in files.getlist("file") if file.filename]
        if not found:
            raise Rejected("No file was selected. Select one or more files first.")
        if any(file.filename for name, file in files.items(multi=True) if name != "file"):
            raise Rejected("The file was sent in a field other than “file”. Nothing was added.")
        for file in form_files:
            if file.staged not in [received.staged for received in found]:
                file.staged.discard()
    return found, replace(metadata, details={name: fields.get(name, value) for name, value in metadata.details.items()})


def _parse(
    parser: FormDataParser, request: Request, body: CountingStream, staged: list[Staged], form_files: list[FormFile]
) -> Any:
    try:
        _, fields, files = parser.parse(
            body,  # type: ignore[arg-type]
            request.mimetype,
            request.content_length,
            request.mimetype_params,
        )
    except ValueError as error:
        if body.count < content_length(request):
            raise Truncated(TRUNCATED) from error
        raise Rejected("The upload form could not be read. Please try again.") from error
    except ClientDisconnected as error:
        raise Truncated(TRUNCATED) from error
    except RequestEntityTooLarge as error:
        raise TooLarge(
            "This upload has too many parts, or a field that is too long. Add fewer files at once."
        ) from error
    finally:
        staged.extend(form_file.staged for form_file in form_files)
    return fields, files


def _received(file: FileStorage) -> ReceivedFile:
    form_file: FormFile = file.stream  # type: ignore[assignment]
    return ReceivedFile(file.filename or "", None if form_file.refusal else form_file.staged, form_file.refusal)


def _read(stream: IO[bytes], size: int) -> bytes:
    try:
        return stream.read(size)
    except ClientDisconnected as error:
        raise Truncated(TRUNCATED) from error


@contextmanager
def _discard_on_error(staged: list[Staged]) -> Iterator[list[Staged]]:
    try:
        yield staged
    except BaseException:
        for file in staged:
            file.discard()
        raise
