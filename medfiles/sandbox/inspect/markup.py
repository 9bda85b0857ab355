"""Recognize web pages, drawings and other XML vocabularies by the beginning of a text."""

import re

BLANK = b" \t\r\n\f\v\xef\xbb\xbf"
MARKUP = {"web page", "svg"}
OFFICE_XML = {"word xml", "excel xml"}
TAGS = re.compile(
    rb"<(?:!doctype\s+html|(?:html|head|body|script|iframe|object|embed|meta|link|base|style|title|h[1-6]|div|font|"
    rb"table|a|b|i|br|p|img|span|center|form|input|button|video|audio|template)(?=[\s/>]))|<!--|<\?php|<%"
)
"""Anything that could be markup. Too broad for text, in which "<p 0.05" is a result."""
_ATTRIBUTES = rb"""(?:\s+[a-z_:][\w:.-]*(?:\s*=\s*(?:"[^"]*"|'[^']*'|[^\s"'<>=]+))?)*\s*/?"""
ACTIVE = re.compile(
    rb"<!doctype\s+html|<!--.*?-->|<\?php\b|<%[@=\s].*?%>|"
    rb"<(?:html|head|body|frameset|script|iframe|object|embed|meta|link|base|style|form|input|button|video|audio|"
    rb"template)" + _ATTRIBUTES + rb">|"
    rb"<[a-z][a-z0-9]*(?:\s[^<>]*)?\s(?:on[a-z]+|href|src|style)\s*=[^<>]*>",
    re.DOTALL,
)
"""A closed tag that can load or run something. Tags that only format text, such as <b>, can do neither."""
FORMATTED = re.compile(
    rb"<(?:table|thead|tbody|tr|td|th|div|span|center|title|font|h[1-6]|p|a|b|i|u|br|hr|img|pre|ul|ol|li)"
    + _ATTRIBUTES
    + rb">"
)
"""A closed tag that only a web page has at its beginning."""
MAIL_HEADERS = re.compile(rb"(?:[\w-]+:[^\r\n]*\r?\n(?:[ \t][^\r\n]*\r?\n)*){1,40}")
_SKIPPED = re.compile(rb"<\?.*?\?>|<!--.*?-->|<!doctype[^\[>]*(?:\[.*?\]\s*)?>", re.DOTALL)
_ROOT = re.compile(rb"<(?:[\w.-]+:)?([\w.-]+)")
_PROGRAM = re.compile(rb"""<\?mso-application\s+progid\s*=\s*["'](word|excel)""")


def active(head: bytes) -> str | None:
    """Return the kind of active markup that a text starts with, if any."""
    start = head.lstrip(BLANK).lower()
    kind = xml(start) or _drawing(start)
    if kind in MARKUP:
        return kind
    return "web page" if ACTIVE.match(start) else None


def markup(head: bytes) -> str | None:
    """Return the kind of markup that the data start with, if any, even if it could not do harm."""
    start = head.lstrip(BLANK).lower()
    if kind := active(start) or xml(start):
        return kind
    return "web page" if FORMATTED.match(start) or is_web_archive(start) else None


def xml(start: bytes) -> str | None:
    """Return the vocabulary of an XML document, "xml" if it is an unknown one, or None if it is no XML."""
    if not start.startswith(b"<?xml"):
        return None
    program = _PROGRAM.search(start)
    if program:
        return f"{program[1].decode()} xml"
    at = 0
    while match := _SKIPPED.match(start, at := at + len(start[at:]) - len(start[at:].lstrip())):
        at = match.end()
    root = _ROOT.match(start, at)
    return {b"svg": "svg", b"html": "web page"}.get(root[1], "xml") if root else "xml"


def is_web_archive(start: bytes) -> bool:
    """Return whether the data are a web page with its pictures in one file (MHTML)."""
    headers = MAIL_HEADERS.match(start)
    return headers is not None and b"mime-version:" in headers[0] and b"multipart/related" in headers[0]


def _drawing(start: bytes) -> str | None:
    return "svg" if re.match(rb"<(!doctype\s+)?svg[\s/>]", start) else None
