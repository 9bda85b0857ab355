"""What an HTML answer consists of, and what in it cannot be of our making."""

import re
from collections import Counter
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import lxml.html

from medfiles.http import static_files

ROOT = Path(__file__).parents[3]
WRITTEN = (*(ROOT / "templates").rglob("*.html"), *(ROOT / "static").rglob("*.svg"))
# What templates and icons write, what WTForms makes of fields, and what the parser adds.
TAGS = {tag for path in WRITTEN for tag in re.findall(r"<([a-z][a-z0-9-]*)", path.read_text())} | {
    "html", "head", "body", "input", "select", "option", "textarea", "label", "ul", "li", "tbody",
}  # fmt: skip
ADDRESSES = ("href", "src", "action", "formaction", "data", "poster", "background", "cite", "srcset", "xlink:href")
OURS = re.compile(
    r"[/#?](?![/\\])|[/#?]?$|data:image/svg\+xml;base64,|https://www\.rfc-editor\.org/|\.\.?/|http://localhost/"
)
SPRITE = f"/static/@{static_files.current_version()}/icons.svg"
ICONS = {path.stem for path in (ROOT / "static" / "icons").glob("*.svg")}
Shape = Counter[tuple[str, tuple[str, ...]]]


def elements(text: str) -> Sequence[Any]:
    """Of a page, or of a fragment with whatever lies beside it."""
    if not text.strip():
        return ()
    whole = text if "<html" in text[:2000].lower() else f"<html><body><table>{text}</table></body></html>"
    return list(lxml.html.document_fromstring(whole).iter())


def shape(page: Sequence[Any]) -> Shape:
    """How often which element with which attributes: the same whatever people wrote, as long as it stays text. Only
    classes may come with what is long."""
    return Counter(
        (str(each.tag) if isinstance(each.tag, str) else "comment", tuple(sorted({*each.attrib} - {"class"})))
        for each in page
    )


def words(page: Sequence[Any]) -> Iterator[str]:
    """All that is text for a reader or for a program: between elements and in attributes."""
    for each in page:
        yield from (each.text or "", each.tail or "", *each.attrib.values())


def foreign(page: Sequence[Any]) -> list[str]:
    """Elements and attributes that no template of ours writes."""
    return [found for each in page for found in _foreign(each)]


def _foreign(each: Any) -> Iterator[str]:
    if each.tag == "use" and _draws_icon(each):
        return
    if not isinstance(each.tag, str) or each.tag not in TAGS:
        yield f"<{each.tag}>"
        return
    if each.tag == "script" and not each.get("src", "").startswith("/static/"):
        yield "<script> with words of its own"
    for name, value in each.attrib.items():
        if name.startswith("on") or name in ("style", "srcdoc", "http-equiv"):
            yield f"<{each.tag} {name}>"
        if name in ADDRESSES and not OURS.match(value.strip()):
            yield f"<{each.tag} {name}={value[:60]!r}>"


def _draws_icon(use: Any) -> bool:
    """Return whether it is what draws an icon of ours: alone in the icon, with nothing but its place in the sprite."""
    icon, (sprite, _, name) = use.getparent(), use.get("href", "").partition("#")
    alone = [*icon] == [use] and not len(use) and not (use.text or use.tail or icon.text or "").strip()
    is_icon = icon.tag == "svg" and dict(icon.attrib) == {"class": "mf-icon", "aria-hidden": "true"}
    return alone and is_icon and use.keys() == ["href"] and sprite == SPRITE and name in ICONS
