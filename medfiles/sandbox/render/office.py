"""Render Word documents as sanitized HTML without pictures, links, styles or scripts."""

import re
from collections.abc import Iterable
from io import BytesIO
from typing import Any, BinaryIO
from xml.parsers.expat import ExpatError
from zipfile import BadZipFile

import mammoth
import nh3
from mammoth import html as markup

from medfiles.sandbox.inspect.text import encoding_of
from medfiles.sandbox.render import word
from medfiles.sandbox.render.base import DAMAGED, CannotRender, PreviewData, join_notes
from medfiles.sandbox.render.locked import LOCKED, is_locked
from medfiles.sandbox.render.package import write_parts
from medfiles.sandbox.render.word import INSERTED_OUT, MARK, PICTURE

MAX_CHARACTERS = 300_000  # of HTML
TAGS = {
    "b", "blockquote", "br", "dd", "dl", "dt", "em", "h1", "h2", "h3", "h4", "h5", "h6", "i", "li", "ol", "p", "pre",
    "s", "strong", "sub", "sup", "table", "tbody", "td", "tfoot", "th", "thead", "tr", "u", "ul",
}  # fmt: skip
ATTRIBUTES = {"td": {"colspan", "rowspan"}, "th": {"colspan", "rowspan"}}
DROPPED = {"script", "style", "title", "head"}  # of inserted web pages, with what they contain
STYLES = (  # mammoth already maps headings
    "p[style-name='Title'] => h1:fresh\np[style-name='Subtitle'] => h2:fresh\ncomment-reference => sup\nu => u"
)
CHECKBOX = re.compile(r'<input (checked="checked" )?type="checkbox" ?/>')
WIDESPREAD = str.maketrans({0x1F5F9: "☑", 0x1F5F7: "☒", 0x1F5F8: "✓", 0x1F5F4: "✗", 0x1F78E: "☐", 0x1F78F: "☐"})
UNKNOWN = re.compile(r"An unrecognised element was ignored: (?:\{.*\})?(.+)")
UNKNOWN_SYMBOL = "unsupported character"
UNSEEN = {  # elements that show nothing themselves
    "w:permStart", "w:permEnd", "w:customXmlInsRangeStart", "w:customXmlInsRangeEnd", "w:customXmlDelRangeStart",
    "w:customXmlDelRangeEnd", "w:moveFromRangeStart", "w:moveFromRangeEnd", "w:moveToRangeStart", "w:moveToRangeEnd",
    "w:tblPrEx", "w:separator", "w:continuationSeparator", "w:sdtPr", "w:sdtEndPr", "w:customXmlPr", "w:smartTagPr",
    "w:fldData", "w:noBreakHyphen", "w:delText", "w:delInstrText", "v:path", "v:stroke", "v:fill", "v:formulas",
    "v:f", "v:handles", "v:h", "v:textpath", "v:background", "w:txbxContent", "w:anchorLock", "w:bookmarkEnd",
    "office-word:anchorlock", "office-word:bordertop", "office-word:borderbottom", "o:lock", "o:extrusion",
}  # fmt: skip
PICTURES = "Images are left out. Download the document to see them."
LEFT_OUT = "Some content of this document cannot be shown here. Download the document to see it."
SYMBOLS = "Some symbols cannot be shown here. Download the document to see them."
SHORTENED = f"Only the first {MAX_CHARACTERS:,} characters are shown. Download the document to read all of it."
EMPTY = "This document contains no text to preview. Download it to open it on your device."
OLD = "Old Word documents (.doc) cannot be previewed. Download it to open it on your device."


def describe(file: BinaryIO) -> PreviewData:
    if is_locked(file):
        raise CannotRender(LOCKED)
    html, notes = convert(file)
    cleaned = clean(html)
    if not cleaned.strip():
        raise CannotRender(EMPTY)
    notes = [SHORTENED] * (len(html) > MAX_CHARACTERS) + [PICTURES] * (PICTURE in cleaned) + notes
    return PreviewData("html", html=cleaned, note=join_notes(*notes))


def describe_old_word(file: BinaryIO) -> PreviewData:
    raise CannotRender(LOCKED if is_locked(file) else OLD)


def convert(file: BinaryIO, *, nested: bool = False) -> tuple[str, list[str]]:
    """Return the document as HTML that is still to be cleaned, and notes for the reader."""
    try:
        done = word.prepare(file)
        result = mammoth.convert_to_html(write_parts(done.parts), convert_image=replace_picture, style_map=STYLES)
    except (BadZipFile, ExpatError) as error:
        raise CannotRender(DAMAGED) from error
    html = CHECKBOX.sub(lambda found: "☒" if found[1] else "☐", result.value).translate(WIDESPREAD)
    notes = [*done.notes, *notes_of(message.message for message in result.messages)]
    for number, (name, content) in enumerate(done.inserted):
        inserted, more = insert(name, content, nested=nested)
        html = html.replace(f"<p>{MARK.format(number)}</p>", inserted)
        notes += more
    return html, notes


def insert(name: str, content: bytes, *, nested: bool) -> tuple[str, list[str]]:
    """Return a document within this one as HTML. Only one level of Word documents is followed."""
    if name.endswith(word.TEXT_TYPES):
        return word.as_paragraphs(content), []
    if name.endswith(word.HTML_TYPES):
        page = content.decode(encoding_of(content), "replace")
        return nh3.clean(page, tags=TAGS, attributes=ATTRIBUTES, clean_content_tags=DROPPED), []
    if nested:
        return "", [INSERTED_OUT]
    try:
        return convert(BytesIO(content), nested=True)
    except CannotRender:
        return "", [INSERTED_OUT]


def notes_of(messages: Iterable[str]) -> list[str]:
    """Return notes for what mammoth left out. Unknown styles and kinds of images do not matter here."""
    notes = []
    for message in messages:
        unknown = UNKNOWN.fullmatch(message)
        if unknown and unknown[1] not in UNSEEN:
            notes.append(LEFT_OUT)
        elif UNKNOWN_SYMBOL in message:
            notes.append(SYMBOLS)
    return notes


def replace_picture(image: Any) -> list[Any]:
    """Replace a picture with a placeholder. It is never opened, because it could have any format and link anywhere."""
    return [markup.text(PICTURE)]


def clean(converted: str) -> str:
    """Truncate the HTML before a tag, then sanitize it. nh3 closes any open tags."""
    cut = converted if len(converted) <= MAX_CHARACTERS else converted[:MAX_CHARACTERS].rpartition("<")[0]
    return nh3.clean(cut, tags=TAGS, attributes=ATTRIBUTES, url_schemes=set(), link_rel=None)
