"""Jinja filters and globals: dates, sizes, ages and numbers in the user's locale; inline icons."""

from datetime import UTC, date, datetime
from functools import lru_cache
from pathlib import Path
from xml.etree import ElementTree

import nh3
from babel import Locale
from babel.dates import format_date, format_datetime, format_skeleton
from babel.numbers import format_decimal
from flask import Flask, request
from markupsafe import Markup

from medfiles.clock import now
from medfiles.record_types.document_fields import FORM_FIELDS
from medfiles.record_types.media_types import GROUPS
from medfiles.text import initials

LOCALES = ("en", "en-GB", "en-US", "en-CA", "en-AU", "en-NZ", "en-IE", "en-IN", "en-ZA")
TAGS = {
    "b", "blockquote", "br", "em", "h1", "h2", "h3", "h4", "h5", "h6", "i", "li", "ol", "p", "pre", "s", "strong",
    "sub", "sup", "table", "tbody", "td", "tfoot", "th", "thead", "tr", "u", "ul",
}  # fmt: skip
ATTRIBUTES = {"td": {"colspan", "rowspan"}, "th": {"colspan", "rowspan"}}


def locale() -> Locale:
    best = request.accept_languages.best_match(LOCALES, "en-GB") if request else "en-GB"
    return Locale.parse("en-GB" if best == "en" else best, sep="-")


def day(value: date) -> str:
    return format_date(value, "d MMM y" if locale().territory != "US" else "medium", locale=locale())


def short_day(value: date) -> str:
    """Format a day without its year if that is the current one."""
    if value.year != now().year:
        return day(value)
    return format_date(value, "d MMM" if locale().territory != "US" else "MMM d", locale=locale())


def day_of_year(value: date) -> str:
    """Format a day under the heading of its year, such as "18 Nov"."""
    return format_skeleton("MMMd", value, locale=locale())


def moment(value: datetime) -> str:
    return format_datetime(value.astimezone(UTC), "d MMM y, HH:mm", locale=locale()) + " UTC"


def iso(value: date) -> str:
    return value.isoformat()


def filesize(size: int) -> str:
    """Format a size in bytes, such as "1.8 MB". 1 MB is 1024 × 1024 bytes."""
    if size < 1024:
        return plural(size, "byte")
    steps = ((1024**2, "KB"), (10 * 1024**3, "MB"), (10 * 1024**4, "GB"))  # a limit of 1,500 MB is shown in MB
    unit = next((unit for limit, unit in steps if size < limit), "TB")
    number = size / 1024 ** ("KB", "MB", "GB", "TB").index(unit) / 1024
    pattern = "#,##0" if number >= 10 else "#,##0.#"
    return f"{format_decimal(number, pattern, locale=locale())} {unit}"


def age(born: date) -> str:
    """Format an age: "8 years"; under 2 years, "5 months"; under 2 months, "12 days"."""
    today = now().date()
    months = (today.year - born.year) * 12 + today.month - born.month - (today.day < born.day)
    if months >= 24:
        return plural(months // 12, "year")
    if months >= 2:
        return plural(months, "month")
    return plural(max(0, (today - born).days), "day")


def number(count: int) -> str:
    return str(format_decimal(count, locale=locale()))


def plural(count: int, word: str) -> str:
    return f"{number(count)} {word}{'' if count == 1 else 's'}"


def sanitize(html: str) -> Markup:
    """Sanitize HTML a second time before marking it as safe."""
    return Markup(nh3.clean(html, tags=TAGS, attributes=ATTRIBUTES))


def init_app(app: Flask) -> None:
    folder = Path(str(app.static_folder), "icons")

    @lru_cache
    def icon(name: str) -> Markup:
        ElementTree.register_namespace("", "http://www.w3.org/2000/svg")
        root = ElementTree.parse(folder / f"{name}.svg").getroot()
        root.attrib.update({"class": "mf-icon", "aria-hidden": "true", "focusable": "false"})
        return Markup(ElementTree.tostring(root, encoding="unicode"))

    def sheet(name: str) -> Markup:
        return Markup(f"<style>\n{Path(str(app.static_folder), name).read_text()}</style>")

    app.jinja_env.globals.update(icon=icon, sheet=sheet, document_fields=FORM_FIELDS, media_groups=GROUPS)
    for function in (day, short_day, day_of_year, moment, iso, filesize, age, number, plural, sanitize, initials):
        app.jinja_env.filters[function.__name__] = function
