"""Parse multipart forms while they arrive, with file names in every encoding that clients use."""

import re
from collections.abc import Callable, Iterator
from email.errors import HeaderParseError
from email.header import decode_header, make_header
from typing import IO, Protocol, TypeVar
from urllib.parse import unquote

from werkzeug.datastructures import Headers
from werkzeug.exceptions import RequestEntityTooLarge
from werkzeug.sansio.multipart import Data, Epilogue, Field, File, MultipartDecoder, NeedData

CHUNK = 64 * 1024
ENCODED_WORD = re.compile(r"=\?[\w-]+\?[bq]\?[^?]*\?=", re.IGNORECASE)
ESCAPED = re.compile(r"%(22|0d|0a)", re.IGNORECASE)  # the only characters that browsers escape
PERCENT = re.compile(r"%(?![0-9a-f]{2})", re.IGNORECASE)


class Target(Protocol):
    """What a file of the form is written to."""

    def write(self, chunk: bytes, /) -> object: ...


Written = TypeVar("Written", bound=Target)


class _Decoder(MultipartDecoder):
    def _parse_headers(self, data: bytes | bytearray) -> Headers:
        return super()._parse_headers(as_text(bytes(data)).encode())


def parse(
    stream: IO[bytes], boundary: bytes, open_file: Callable[[], Written], max_memory: int, max_parts: int
) -> tuple[list[tuple[str, str]], list[tuple[str, str, Written]]]:
    """Return the form's fields, and its files as (field name, file name, target).

    Raises ValueError if the form is malformed, or RequestEntityTooLarge if it has more than `max_parts` parts, or a
    field of more than `max_memory` bytes.
    """
    if not boundary:
        raise ValueError("no boundary")
    fields: list[tuple[str, bytes]] = []
    files: list[tuple[str, str, Written]] = []
    decoder = _Decoder(boundary, max_memory, max_parts=max_parts)
    part: Field | File | None = None
    for event in _events(decoder, stream):
        match event:
            case Field() as part:
                fields.append((part.name, b""))
            case File() as part:
                files.append((part.name, decoded_name(part.filename), open_file()))
            case Data(data=data) if isinstance(part, File):
                files[-1][2].write(data)
            case Data(data=data):
                name, value = fields[-1]
                if len(value) + len(data) > max_memory:
                    raise RequestEntityTooLarge
                fields[-1] = (name, value + data)
    return [(name, value.decode(errors="replace")) for name, value in fields], files


def _events(decoder: MultipartDecoder, stream: IO[bytes]) -> Iterator[object]:
    while chunk := stream.read(CHUNK):
        decoder.receive_data(chunk)
        while not isinstance(event := decoder.next_event(), NeedData | Epilogue):
            yield event
    decoder.receive_data(None)
    while not isinstance(event := decoder.next_event(), Epilogue):  # raises ValueError if the form is incomplete
        yield event


def as_text(header: bytes) -> str:
    """Decode a header. Older clients send names in the Western encoding of Windows instead of UTF-8."""
    try:
        return header.decode()
    except UnicodeDecodeError:
        return header.decode("cp1252", "replace") if b"\x81" not in header else header.decode("latin-1")


def decoded_name(name: str) -> str:
    """Decode a file name that the client encoded as in mail (RFC 2047) or as in a URL."""
    if ENCODED_WORD.search(name):
        try:
            name = str(make_header(decode_header(name)))
        except (HeaderParseError, LookupError, UnicodeError, ValueError):
            return name
    name = ESCAPED.sub(lambda match: unquote(match[0]), name)
    return _unquoted(name) if "%" in name and not PERCENT.search(name) else name


def _unquoted(name: str) -> str:
    """Decode a name that was encoded as in a URL, which only letters beyond ASCII prove."""
    try:
        plain = unquote(name, errors="strict")
    except UnicodeDecodeError:
        return name
    return plain if name.isascii() and not plain.isascii() else name
