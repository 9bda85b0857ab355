"""Prepare Word documents for mammoth: turn what it does not know into what it does, and note what remains unshown."""

import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from typing import Any, BinaryIO

from lxml import etree

from medfiles.sandbox.inspect.signatures import Unsafe, WrongType
from medfiles.sandbox.inspect.text import encoding_of, parse_xml
from medfiles.sandbox.render.base import DAMAGED, CannotRender
from medfiles.sandbox.render.package import Parts, read_parts, relations, relations_part

W = "{http://schemas.openxmlformats.org/wordprocessingml/2006/main}"
R = "{http://schemas.openxmlformats.org/officeDocument/2006/relationships}"
M = "{http://schemas.openxmlformats.org/officeDocument/2006/math}"
MC = "{http://schemas.openxmlformats.org/markup-compatibility/2006}"
STRICT = (
    (b"http://purl.oclc.org/ooxml/wordprocessingml/main", W),
    (b"http://purl.oclc.org/ooxml/officeDocument/relationships", R),
    (b"http://purl.oclc.org/ooxml/officeDocument/math", M),
)
TRANSPARENT = ("fldSimple", "dir", "bdo", "smartTag", "customXml")  # their content is shown in their place
CHARTS = ("{http://schemas.openxmlformats.org/drawingml/2006/chart}chart", "{*}relIds")
PICTURE, MARK = "[picture]", "\ue000{}\ue000"  # a mark stands for an inserted document
HTML_TYPES, TEXT_TYPES, WORD_TYPES = (".htm", ".html", ".xhtml"), (".txt",), (".docx", ".docm", ".dotx")
EQUATIONS = "Equations are shown as plain text."
CHANGES = "Tracked changes are shown as if they were accepted."
CHARTS_OUT = "Charts and diagrams are left out."
INSERTED_OUT = "Another document that was inserted here is left out."
EMBEDDED_OUT = "Embedded files are left out."


@dataclass
class Preparation:
    """A Word document on its way to mammoth. `inserted` are documents within it, in the order of their marks."""

    parts: Parts
    notes: list[str] = field(default_factory=list)
    inserted: list[tuple[str, bytes]] = field(default_factory=list)

    def note(self, words: str) -> None:
        if words not in self.notes:
            self.notes.append(words)


def prepare(file: BinaryIO) -> Preparation:
    """Rewrite the parts of a Word document. Raises `CannotRender` if the main part cannot be read."""
    try:
        done = Preparation(read_parts(file))
        name = main_part(done.parts)
        document = Document(done, name)
        document.rewrite()
    except (WrongType, Unsafe, KeyError) as error:
        raise CannotRender(DAMAGED) from error
    done.parts[name] = etree.tostring(document.root)
    return done


def main_part(parts: Parts) -> str:
    found = (
        target
        for kind, target in relations(parts, "_rels/.rels", key="Type").items()
        if kind.endswith("/officeDocument") and target in parts
    )
    return next(found, "word/document.xml")


def parse(content: bytes) -> etree._Element:
    for strict, usual in STRICT:
        content = content.replace(strict, usual[1:-1].encode())
    return parse_xml(content)


def is_on(element: etree._Element | None) -> bool:
    return element is not None and element.get(f"{W}val", "true") not in ("0", "false", "off")


class Document:
    """The main part of a Word document, or a header or footer."""

    def __init__(self, done: Preparation, name: str) -> None:
        self.done, self.name, self.root = done, name, parse(done.parts[name])
        self.related = relations(done.parts, relations_part(name))
        self.kinds = relations(done.parts, relations_part(name), key="Type")
        self.styles = self._related_part("/styles")

    def rewrite(self) -> None:
        self._complete_styles()
        bodies = list(self.root.iter(f"{W}body"))
        for other in bodies[1:]:
            bodies[0].extend(list(other))
            remove(other)
        for body in bodies[:1]:
            self._surround(body)
        self.simplify()
        self._insert_documents()
        self._drop_dangling_references()

    def simplify(self) -> None:
        """Rewrite the content so that it consists of what mammoth knows."""
        self._hide(self._hidden_styles())
        for element in list(self.root.iter(f"{MC}AlternateContent")):
            self._choose(element)
        for element in list(self.root.iter(f"{W}drawing", f"{W}object")):
            self._keep_text_boxes(element)
        for element in list(self.root.iter(*(f"{W}{name}" for name in TRANSPARENT))):
            unwrap(element)
        for element in list(self.root.iter(f"{W}ruby")):
            replace(element, ruby(element))
        for element in list(self.root.iter(f"{M}oMathPara", f"{M}oMath")):
            if element.getparent() is not None and next(element.iterancestors(f"{M}oMathPara"), None) is None:
                self._flatten_equation(element)
        for element in list(self.root.iter(f"{W}cr", f"{W}ptab")):
            element.tag = f"{W}br" if element.tag == f"{W}cr" else f"{W}tab"
        for element in list(self.root.iter(f"{W}fldChar")):
            choice = chosen(element)
            if choice:
                element.getparent().addnext(run(choice))
        if next(self.root.iter(f"{W}del", f"{W}ins", f"{W}moveFrom"), None) is not None:
            self.done.note(CHANGES)

    def _related_part(self, kind: str) -> str | None:
        found = (target for name, target in self.kinds.items() if name.endswith(kind) and target in self.done.parts)
        return next(found, None)

    def _complete_styles(self) -> None:
        """Give every style a type and an id, without which mammoth cannot read them."""
        if self.styles is None:
            return
        root = parse(self.done.parts[self.styles])
        for style in list(root.iter(f"{W}style")):
            if style.get(f"{W}styleId") is None:
                remove(style)
            elif style.get(f"{W}type") is None:
                style.set(f"{W}type", "paragraph")
        self.done.parts[self.styles] = etree.tostring(root)

    def _hidden_styles(self) -> set[str]:
        if self.styles is None:
            return set()
        root = parse(self.done.parts[self.styles])
        return {
            style.get(f"{W}styleId", "") for style in root.iter(f"{W}style") if is_on(style.find(f"{W}rPr/{W}vanish"))
        }

    def _hide(self, styles: set[str]) -> None:
        """Remove hidden text."""
        for element in list(self.root.iter(f"{W}r")):
            own = element.find(f"{W}rPr/{W}vanish")
            named = element.find(f"{W}rPr/{W}rStyle")
            paragraph = next(element.iterancestors(f"{W}p"), None)
            outer = paragraph.find(f"{W}pPr/{W}pStyle") if paragraph is not None else None
            by_style = any(one is not None and one.get(f"{W}val") in styles for one in (named, outer))
            if is_on(own) if own is not None else by_style:
                remove(element)

    def _choose(self, element: etree._Element) -> None:
        """Keep the alternative that mammoth can read."""
        fallback, choice = element.find(f"{MC}Fallback"), element.find(f"{MC}Choice")
        if next(element.iter(*CHARTS), None) is not None:
            self.done.note(CHARTS_OUT)
        readable = fallback is not None and (len(fallback) > 0 or choice is None)
        kept = fallback if readable else choice
        replace(element, list(kept) if kept is not None else [])

    def _keep_text_boxes(self, element: etree._Element) -> None:
        """Move the text of a drawing into an older kind of text box."""
        if next(element.iter(*CHARTS), None) is not None:
            self.done.note(CHARTS_OUT)
        if next(element.iter("{*}OLEObject"), None) is not None:
            self.done.note(EMBEDDED_OUT)
        boxes = list(element.iter(f"{W}txbxContent")) if element.tag == f"{W}drawing" else []
        if boxes:
            box = etree.Element(f"{W}pict")
            box.extend(boxes)
            element.addnext(box)

    def _flatten_equation(self, element: etree._Element) -> None:
        self.done.note(EQUATIONS)
        words = "".join(text.text or "" for text in element.iter(f"{M}t"))
        lines = run(f" {words} ")
        outside = element.getparent() is not None and element.getparent().tag == f"{W}body"
        replace(element, [paragraph(lines)] if outside else [lines])

    def _surround(self, body: etree._Element) -> None:
        """Put headers before the body and footers after it."""
        headers, footers = self._margins("header"), self._margins("footer")
        for place, element in enumerate(headers):
            body.insert(place, element)
        body.extend(footers)

    def _margins(self, kind: str) -> list[etree._Element]:
        """Return the content of the headers or footers that Word would show, each text once."""
        settings = self._related_part("/settings")
        two_sided = settings is not None and is_on(parse(self.done.parts[settings]).find(f"{W}evenAndOddHeaders"))
        found: list[etree._Element] = []
        seen: set[str] = set()
        for section in self.root.iter(f"{W}sectPr"):
            shown = {"default": True, "first": is_on(section.find(f"{W}titlePg")), "even": two_sided}
            for reference in section.iter(f"{W}{kind}Reference"):
                name = self.related.get(reference.get(f"{R}id", ""))
                if name in self.done.parts and shown.get(reference.get(f"{W}type", "default"), True):
                    margin = Document(self.done, name)
                    margin.simplify()
                    margin.detach()
                    words = "".join(margin.root.itertext()).strip()
                    if words and words not in seen:
                        seen.add(words)
                        found += list(margin.root)
        return found

    def detach(self) -> None:
        """Remove what only makes sense beside the relations of this part."""
        for element in list(self.root.iter(f"{W}hyperlink")):
            unwrap(element)
        for element in list(self.root.iter(f"{W}drawing", f"{W}pict", f"{W}object")):
            texts = list(element.iter(f"{W}txbxContent"))
            pictured = any(next(element.iter(f"{{*}}{name}"), None) is not None for name in ("blip", "imagedata"))
            if pictured:
                element.addnext(text_element(PICTURE))
            if not texts:
                remove(element)
            for picture in list(element.iter("{*}blip", "{*}imagedata")):
                remove(picture)
        self._drop_references(("footnoteReference", "endnoteReference", "commentReference"))

    def _drop_references(self, names: Iterable[str]) -> None:
        for element in list(self.root.iter(*(f"{W}{name}" for name in names))):
            remove(element)

    def _insert_documents(self) -> None:
        for element in list(self.root.iter(f"{W}altChunk")):
            name = self.related.get(element.get(f"{R}id", ""), "")
            if not name.lower().endswith((*HTML_TYPES, *TEXT_TYPES, *WORD_TYPES)) or name not in self.done.parts:
                self.done.note(INSERTED_OUT)
                remove(element)
                continue
            replace(element, [paragraph(run(MARK.format(len(self.done.inserted))))])
            self.done.inserted.append((name.lower(), self.done.parts[name]))
        for element in list(self.root.iter(f"{W}subDoc")):
            self.done.note(INSERTED_OUT)
            remove(element)

    def _drop_dangling_references(self) -> None:
        """Remove references to notes and comments that are not there."""
        for kind in ("footnote", "endnote", "comment"):
            part = self._related_part(f"/{kind}s") or f"word/{kind}s.xml"
            content = self.done.parts.get(part)
            known = {one.get(f"{W}id") for one in parse(content).iter(f"{W}{kind}")} if content else set()
            for element in list(self.root.iter(f"{W}{kind}Reference")):
                if element.get(f"{W}id") not in known:
                    remove(element)
        for element in list(self.root.iter(f"{W}hyperlink")):
            if element.get(f"{R}id") is not None:
                unwrap(element)  # the preview has no links


def chosen(field_start: etree._Element) -> str:
    """Return the choice made in the drop-down list of an older form, which is stored as a number."""
    options = field_start.find(f"{W}ffData/{W}ddList")
    if options is None:
        return ""
    words = [entry.get(f"{W}val", "") for entry in options.iter(f"{W}listEntry")]
    picked = options.find(f"{W}result")
    picked = picked if picked is not None else options.find(f"{W}default")
    number = int(picked.get(f"{W}val", "0")) if picked is not None else 0
    return words[number] if 0 <= number < len(words) else ""


def ruby(element: etree._Element) -> Iterator[etree._Element]:
    """Return the base text, with its reading in parentheses."""
    base, reading = element.find(f"{W}rubyBase"), element.find(f"{W}rt")
    inside = element.getparent() is not None and element.getparent().tag == f"{W}r"
    words = "".join(text.text or "" for text in base.iter(f"{W}t")) if base is not None else ""
    above = "".join(text.text or "" for text in reading.iter(f"{W}t")) if reading is not None else ""
    said = f"{words}({above})" if above else words
    yield text_element(said) if inside else run(said)


def text_element(words: str) -> etree._Element:
    element = etree.Element(f"{W}t")
    element.text = words
    return element


def run(words: str) -> etree._Element:
    element = etree.Element(f"{W}r")
    element.append(text_element(words))
    return element


def paragraph(*content: etree._Element) -> etree._Element:
    element = etree.Element(f"{W}p")
    element.extend(content)
    return element


def replace(element: etree._Element, others: Iterable[etree._Element]) -> None:
    parent: Any = element.getparent()
    if parent is None:
        return
    place = parent.index(element)
    parent.remove(element)
    for offset, other in enumerate(list(others)):
        other.tail = None
        parent.insert(place + offset, other)


def unwrap(element: etree._Element) -> None:
    replace(element, list(element))


def remove(element: etree._Element) -> None:
    replace(element, [])


def as_paragraphs(content: bytes) -> str:
    """Return plain text as HTML paragraphs, still to be cleaned."""
    lines = content.decode(encoding_of(content), "replace").splitlines()
    return "".join(f"<p>{re.sub('<', '&lt;', line.replace('&', '&amp;'))}</p>" for line in lines)
