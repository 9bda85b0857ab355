"""Inspect plain text, CSV, JSON and XML: decodable, and neither a web page nor a program in disguise."""

import codecs
import json
from typing import Any, BinaryIO

from lxml import etree

from medfiles.sandbox.encodings import JAPANESE_MAIL, guess_encoding, is_japanese_mail
from medfiles.sandbox.inspect.markup import MARKUP, OFFICE_XML, active
from medfiles.sandbox.inspect.signatures import (
    HEAD,
    NAMES,
    PADDING,
    PROGRAMS,
    Damaged,
    Unsafe,
    WrongType,
    identify,
)

CONTROL_SHARE = 0.05  # printers' commands, and the framing of messages between systems
FEW_CONTROLS = 2
BYTE_ORDER_MARKS = (
    (codecs.BOM_UTF8, "utf-8-sig"),
    (codecs.BOM_UTF32_LE, "utf-32"),
    (codecs.BOM_UTF32_BE, "utf-32"),
    (codecs.BOM_UTF16_LE, "utf-16"),
    (codecs.BOM_UTF16_BE, "utf-16"),
)
CONTROLS = dict.fromkeys([*range(1, 9), *range(14, 27), *range(28, 32), 127])
XML_KINDS = OFFICE_XML | {"xml"}
TEXT_FORMATS = PROGRAMS | MARKUP | XML_KINDS | {"rtf", "pdf"}  # can be printable throughout
BLANKS = PADDING + b" \t\r\n"  # not allowed around an XML document, but common
OWN_ENTITIES = "This XML file declares its own entities, which can be used for attacks. Export it again without them."
ACTIVE = {"http://www.w3.org/1999/xhtml", "http://www.w3.org/2000/svg"}


def inspect_text(file: BinaryIO, media_type: str) -> dict[str, Any]:
    data = file.read()
    text = readable(data).rstrip(PADDING.decode())
    check_text(text)
    kind = format_of(data[:HEAD], text)
    if kind not in (None, *(XML_KINDS if media_type == "text/plain" else ())):
        raise WrongType(kind)
    return {"media_type": media_type, "pages": None}


def inspect_json(file: BinaryIO, media_type: str) -> dict[str, Any]:
    data = file.read().rstrip(PADDING)
    try:
        text = data.decode(json.detect_encoding(data))
        _load_json(text)
    except RecursionError as error:
        raise Unsafe("This JSON file is nested too deeply to be opened safely.") from error
    except ValueError as error:
        is_cut = data.lstrip()[:1] in (b"{", b"[") and not _is_json_lines(data)
        raise (Damaged if is_cut else WrongType) from error
    return {"media_type": media_type, "pages": None}


def _load_json(text: str) -> None:
    json.loads(text, parse_int=str, parse_float=str)


def _is_json_lines(data: bytes) -> bool:
    """Return whether each line is a JSON value of its own, which makes the file a text."""
    try:
        for line in data.decode().splitlines():
            _load_json(line or "null")
    except (ValueError, RecursionError):
        return False
    return True


def inspect_xml(file: BinaryIO, media_type: str) -> dict[str, Any]:
    data = file.read()
    if not data.startswith(tuple(mark for mark, _ in BYTE_ORDER_MARKS[1:])):
        data = data.strip(BLANKS)
    try:
        root = parse_xml(data)
    except WrongType as error:
        if b"<!ENTITY" in data:
            raise Unsafe(OWN_ENTITIES) from error
        if kind := active(data[:HEAD]):
            raise WrongType(kind) from error
        raise (Damaged if data.removeprefix(codecs.BOM_UTF8).startswith(b"<") else WrongType) from error
    for element in root.iter("{*}svg", "{*}html", "{*}script"):
        name = etree.QName(element)
        if element is root or name.namespace in ACTIVE and name.localname == "script":
            raise active_content("svg" if name.localname == "svg" else "web page")
    return {"media_type": media_type, "pages": None}


def parse_xml(data: bytes) -> etree._Element:
    parser = etree.XMLParser(
        resolve_entities=False, no_network=True, load_dtd=False, dtd_validation=False, huge_tree=False
    )
    try:
        root = etree.fromstring(data, parser)
    except etree.XMLSyntaxError as error:
        raise WrongType from error
    dtd = root.getroottree().docinfo.internalDTD
    if dtd is not None and dtd.entities():
        raise Unsafe(OWN_ENTITIES)
    return root


def readable(data: bytes) -> str:
    """Return the text, in Latin-1 if it is in a legacy encoding: all of them have the same control characters."""
    if not data.startswith(tuple(mark for mark, _ in BYTE_ORDER_MARKS)):
        try:
            return data.decode()
        except UnicodeDecodeError:
            return data.decode("latin-1")
    return decode(data)


def decode(data: bytes) -> str:
    try:
        return data.decode(encoding_of(data))
    except UnicodeError as error:
        raise WrongType from error


def encoding_of(data: bytes) -> str:
    for mark, encoding in BYTE_ORDER_MARKS:
        if data.startswith(mark):
            return encoding
    if is_japanese_mail(data):
        return JAPANESE_MAIL
    try:
        data.decode("utf-8")
        return "utf-8"
    except UnicodeDecodeError:
        return guess_encoding(data.rstrip(PADDING).replace(b"\0", b"")) or "latin-1"


def check_text(text: str) -> None:
    controls, gaps = len(text) - len(text.translate(CONTROLS)), text.count("\0")
    if not text or controls > max(CONTROL_SHARE * len(text), FEW_CONTROLS) or gaps > CONTROL_SHARE * len(text):
        raise WrongType


def format_of(head: bytes, text: str) -> str | None:
    """Return the format of a text that is more than text, or None.

    A few letters that also begin a binary format prove nothing, as long as all that follows is text.
    """
    decoded = text[:HEAD].encode("utf-8", "replace")
    kind = active(head) or active(decoded) or identify(head)
    if kind == "web page" and not (active(head) or active(decoded)):
        return None  # it only formats text
    if kind == "pdf" and not head.startswith(b"%PDF-"):
        return None  # it is mentioned
    printable = "\0" not in text and text.translate(CONTROLS) == text
    return kind if kind in TEXT_FORMATS or not printable else None


def active_content(kind: str) -> Unsafe:
    return Unsafe(f"This file contains {NAMES[kind]}. Such files are not accepted.")
