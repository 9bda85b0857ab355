"""Inspect plain text, CSV, JSON and XML: decodable, and neither a web page nor a program in disguise."""

import codecs
import json
from typing import Any, BinaryIO

from lxml import etree

from medfiles.sandbox.encodings import JAPANESE_MAIL, guess_encoding, is_japanese_mail
from medfiles.sandbox.inspect.signatures import HEAD, MARKUP, NAMES, PROGRAMS, Unsafe, WrongType, identify

CONTROL_SHARE = 0.02
BYTE_ORDER_MARKS = (
    (codecs.BOM_UTF8, "utf-8-sig"),
    (codecs.BOM_UTF32_LE, "utf-32"),
    (codecs.BOM_UTF32_BE, "utf-32"),
    (codecs.BOM_UTF16_LE, "utf-16"),
    (codecs.BOM_UTF16_BE, "utf-16"),
)
CONTROLS = dict.fromkeys([*range(9), *range(14, 27), *range(28, 32), 127])
ACTIVE = {"http://www.w3.org/1999/xhtml", "http://www.w3.org/2000/svg"}


def inspect_text(file: BinaryIO, media_type: str) -> dict[str, Any]:
    data = file.read()
    check_start(data[:HEAD])
    check_text(decode(data))
    return {"media_type": media_type, "pages": None}


def inspect_json(file: BinaryIO, media_type: str) -> dict[str, Any]:
    data = file.read()
    try:
        json.loads(data.decode(json.detect_encoding(data)), parse_int=str, parse_float=str)
    except RecursionError as error:
        raise Unsafe("This JSON file is nested too deeply to be opened safely.") from error
    except ValueError as error:
        raise WrongType from error
    return {"media_type": media_type, "pages": None}


def inspect_xml(file: BinaryIO, media_type: str) -> dict[str, Any]:
    root = parse_xml(file.read())
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
        raise Unsafe(
            "This XML file declares its own entities, which can be used for attacks. Export it again without them."
        )
    return root


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
        guessed = guess_encoding(data) if b"\0" not in data else None
        if guessed is None:
            raise WrongType from None
        return guessed


def check_text(text: str) -> None:
    check_start(text[:HEAD].encode("utf-8", "replace"))
    controls = len(text) - len(text.translate(CONTROLS))
    if "\0" in text or controls > CONTROL_SHARE * len(text):
        raise WrongType


def check_start(head: bytes) -> None:
    kind = identify(head)
    if kind in MARKUP | PROGRAMS:
        raise active_content(kind)
    if kind:
        raise WrongType


def active_content(kind: str) -> Unsafe:
    return Unsafe(f"This file contains {NAMES[kind]}. Such files are not accepted.")
