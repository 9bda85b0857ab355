"""Text in its forms: plain, comma separated, JSON and XML. It must decode and hold no markup or program in
disguise; its parsers get neither entities nor network."""

import codecs
import json
from typing import Any, BinaryIO

from charset_normalizer import from_bytes
from lxml import etree

from medfiles.inspectors.signatures import HEAD, MARKUP, NAMES, PROGRAMS, Unlike, Unsafe, identify

SAMPLE = 64 * 1024
CONTROL_SHARE = 0.02
MARKED = (
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
    judge_start(data[:HEAD])
    judge_text(decode(data))
    return {"media_type": media_type, "pages": None}


def inspect_json(file: BinaryIO, media_type: str) -> dict[str, Any]:
    data = file.read()
    try:
        json.loads(data.decode(json.detect_encoding(data)), parse_int=str, parse_float=str)
    except RecursionError as error:
        raise Unsafe("This JSON file nests its content too deeply to be opened safely.") from error
    except ValueError as error:
        raise Unlike from error
    return {"media_type": media_type, "pages": None}


def inspect_xml(file: BinaryIO, media_type: str) -> dict[str, Any]:
    root = parse_xml(file.read())
    for element in root.iter("{*}svg", "{*}html", "{*}script"):
        name = etree.QName(element)
        if element is root or name.namespace in ACTIVE and name.localname == "script":
            raise dangerous("svg" if name.localname == "svg" else "web page")
    return {"media_type": media_type, "pages": None}


def parse_xml(data: bytes) -> etree._Element:
    parser = etree.XMLParser(
        resolve_entities=False, no_network=True, load_dtd=False, dtd_validation=False, huge_tree=False
    )
    try:
        root = etree.fromstring(data, parser)
    except etree.XMLSyntaxError as error:
        raise Unlike from error
    dtd = root.getroottree().docinfo.internalDTD
    if dtd is not None and dtd.entities():
        raise Unsafe(
            "This XML file declares entities of its own, which can be used to attack the reader. "
            "Export it again without them."
        )
    return root


def decode(data: bytes) -> str:
    try:
        return data.decode(encoding_of(data))
    except UnicodeError as error:
        raise Unlike from error


def encoding_of(data: bytes) -> str:
    for mark, encoding in MARKED:
        if data.startswith(mark):
            return encoding
    try:
        data.decode("utf-8")
        return "utf-8"
    except UnicodeDecodeError:
        return guess(data)


def guess(data: bytes) -> str:
    """Only what is not Unicode is guessed, from whole lines around the first byte that is not ASCII."""
    first = next(place for place, byte in enumerate(data) if byte > 127)
    end = data.rfind(b"\n", first, first + SAMPLE) + 1 or first + SAMPLE
    best = from_bytes(data[max(0, first - SAMPLE) : end]).best()
    if best is None or b"\0" in data:
        raise Unlike
    return best.encoding


def judge_text(text: str) -> None:
    judge_start(text[:HEAD].encode("utf-8", "replace"))
    controls = len(text) - len(text.translate(CONTROLS))
    if "\0" in text or controls > CONTROL_SHARE * len(text):
        raise Unlike


def judge_start(head: bytes) -> None:
    kind = identify(head)
    if kind in MARKUP | PROGRAMS:
        raise dangerous(kind)
    if kind:
        raise Unlike


def dangerous(kind: str) -> Unsafe:
    return Unsafe(f"This file holds {NAMES[kind]}. Such files are not accepted, whatever they are named.")
