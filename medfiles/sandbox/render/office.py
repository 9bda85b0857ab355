"""Render Word documents as sanitized HTML without pictures, links, styles or scripts."""

from io import BytesIO
from typing import Any, BinaryIO
from xml.parsers.expat import ExpatError
from zipfile import BadZipFile

import mammoth
import nh3
from mammoth import html as markup

from medfiles.sandbox.render.base import DAMAGED, CannotRender, PreviewData

MAX_CHARACTERS = 300_000  # of HTML
TAGS = {
    "b", "blockquote", "br", "em", "h1", "h2", "h3", "h4", "h5", "h6", "i", "li", "ol", "p", "pre", "s", "strong",
    "sub", "sup", "table", "tbody", "td", "tfoot", "th", "thead", "tr", "u", "ul",
}  # fmt: skip
ATTRIBUTES = {"td": {"colspan", "rowspan"}, "th": {"colspan", "rowspan"}}
STYLES = "p[style-name='Title'] => h1:fresh\np[style-name='Subtitle'] => h2:fresh"  # mammoth already maps headings
PICTURE = "[picture]"
PICTURES = "Images are left out. Download the document to see them."
SHORTENED = f"Only the first {MAX_CHARACTERS:,} characters are shown. Download the document to read all of it."
EMPTY = "This document contains no text to preview. Download it to open it on your device."
OLD = "Old Word documents (.doc) cannot be previewed. Download it to open it on your device."


def describe(file: BinaryIO) -> PreviewData:
    try:
        converted: str = mammoth.convert_to_html(
            BytesIO(file.read()), convert_image=replace_picture, style_map=STYLES
        ).value
    except (BadZipFile, ExpatError) as error:
        raise CannotRender(DAMAGED) from error
    html = clean(converted)
    if not html.strip():
        raise CannotRender(EMPTY)
    notes = [SHORTENED] * (len(converted) > MAX_CHARACTERS) + [PICTURES] * (PICTURE in html)
    return PreviewData("html", html=html, note=" ".join(notes) or None)


def describe_old_word(file: BinaryIO) -> PreviewData:
    raise CannotRender(OLD)


def replace_picture(image: Any) -> list[Any]:
    """Replace a picture with a placeholder. It is never opened, because it could have any format and link anywhere."""
    return [markup.text(PICTURE)]


def clean(converted: str) -> str:
    """Truncate the HTML before a tag, then sanitize it. nh3 closes any open tags."""
    cut = converted if len(converted) <= MAX_CHARACTERS else converted[:MAX_CHARACTERS].rpartition("<")[0]
    return nh3.clean(cut, tags=TAGS, attributes=ATTRIBUTES, url_schemes=set(), link_rel=None)
