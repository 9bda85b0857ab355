"""Word documents as clean HTML: their words and tables, without pictures, links, styles and scripts."""

from io import BytesIO
from typing import Any, BinaryIO
from xml.parsers.expat import ExpatError
from zipfile import BadZipFile

import mammoth
import nh3
from mammoth import html as markup

from medfiles.sandbox.render.base import DAMAGED, Facts, Unshowable

MOST = 300_000  # characters of HTML
TAGS = {
    "b", "blockquote", "br", "em", "h1", "h2", "h3", "h4", "h5", "h6", "i", "li", "ol", "p", "pre", "s", "strong",
    "sub", "sup", "table", "tbody", "td", "tfoot", "th", "thead", "tr", "u", "ul",
}  # fmt: skip
ATTRIBUTES = {"td": {"colspan", "rowspan"}, "th": {"colspan", "rowspan"}}
STYLES = "p[style-name='Title'] => h1:fresh\np[style-name='Subtitle'] => h2:fresh"  # mammoth knows headings by itself
PICTURE = "[picture]"
PICTURES = "Images are left out. Download the document to see them."
SHORTENED = f"Only the first {MOST:,} characters are shown. Download the document to read all of it."
EMPTY = "This document contains no text to preview. Download it to open it on your device."
OLD = "Old Word documents (.doc) cannot be previewed. Download it to open it on your device."


def look(file: BinaryIO) -> Facts:
    try:
        made: str = mammoth.convert_to_html(BytesIO(file.read()), convert_image=left_out, style_map=STYLES).value
    except (BadZipFile, ExpatError) as error:
        raise Unshowable(DAMAGED) from error
    html = clean(made)
    if not html.strip():
        raise Unshowable(EMPTY)
    notes = [SHORTENED] * (len(made) > MOST) + [PICTURES] * (PICTURE in html)
    return Facts("html", html=html, note=" ".join(notes) or None)


def look_at_old(file: BinaryIO) -> Facts:
    raise Unshowable(OLD)


def left_out(image: Any) -> list[Any]:
    """A picture inside may be of any format and a link to anywhere: neither is opened."""
    return [markup.text(PICTURE)]


def clean(made: str) -> str:
    """Cut before a tag; what stays open is closed by the cleaner."""
    cut = made if len(made) <= MOST else made[:MOST].rpartition("<")[0]
    return nh3.clean(cut, tags=TAGS, attributes=ATTRIBUTES, url_schemes=set(), link_rel=None)
