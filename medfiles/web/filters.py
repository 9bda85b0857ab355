"""Jinja filters and globals: messages, dates, sizes, ages and numbers in the user's language; icons."""

from datetime import UTC, date, datetime
from functools import cache, lru_cache
from pathlib import Path
from typing import Any

import nh3
from babel.dates import format_date, format_datetime, format_skeleton
from babel.numbers import format_decimal
from flask import Flask, g, request
from markupsafe import Markup

from babel import Locale
from medfiles import i18n
from medfiles.clock import now
from medfiles.i18n import ngettext_noop
from medfiles.record_types.document_fields import FORM_FIELDS
from medfiles.record_types.media_types import GROUPS
from medfiles.text import initials

LOCALES = ("en", "en-GB", "en-US", "en-CA", "en-AU", "en-NZ", "en-IE", "en-IN", "en-ZA")
TAGS = {
    "b", "blockquote", "br", "dd", "dl", "dt", "em", "h1", "h2", "h3", "h4", "h5", "h6", "i", "li", "ol", "p", "pre",
    "s", "strong", "sub", "sup", "table", "tbody", "td", "tfoot", "th", "thead", "tr", "u", "ul",
}  # fmt: skip
COUNTED = {  # what `plural` counts
    "byte": ngettext_noop("%(num)s byte", "%(num)s bytes"),
    "day": ngettext_noop("%(num)s day", "%(num)s days"),
    "document": ngettext_noop("%(num)s document", "%(num)s documents"),
    "file": ngettext_noop("%(num)s file", "%(num)s files"),
    "frame": ngettext_noop("%(num)s frame", "%(num)s frames"),
    "image": ngettext_noop("%(num)s image", "%(num)s images"),
    "job": ngettext_noop("%(num)s job", "%(num)s jobs"),
    "month": ngettext_noop("%(num)s month", "%(num)s months"),
    "object": ngettext_noop("%(num)s object", "%(num)s objects"),
    "page": ngettext_noop("%(num)s page", "%(num)s pages"),
    "person": ngettext_noop("%(num)s person", "%(num)s people"),
    "problem": ngettext_noop("%(num)s problem", "%(num)s problems"),
    "record": ngettext_noop("%(num)s record", "%(num)s records"),
    "result": ngettext_noop("%(num)s result", "%(num)s results"),
    "year": ngettext_noop("%(num)s year", "%(num)s years"),
}
ATTRIBUTES = {"td": {"colspan", "rowspan"}, "th": {"colspan", "rowspan"}}


def locale_name() -> str:
    """Return the name of the request's locale, which is chosen once."""
    if not request:
        return "en-GB"
    if "locale" not in g:
        best = request.accept_languages.best_match(LOCALES, "en-GB")
        g.locale = "en-GB" if best == "en" else best
    return str(g.locale)


def locale() -> Locale:
    return _parsed(locale_name())


@cache
def _parsed(name: str) -> Locale:
    return Locale.parse(name, sep="-")


def day(value: date) -> str:
    return _day(_date(value), "d MMM y" if locale_name() != "en-US" else "medium", locale_name())


def short_day(value: date) -> str:
    """Format a day without its year if that is the current one."""
    if value.year != now().year:
        return day(value)
    return _day(_date(value), "d MMM" if locale_name() != "en-US" else "MMM d", locale_name())


def day_of_year(value: date) -> str:
    """Format a day under the heading of its year, such as "18 Nov"."""
    return _day_of_year(_date(value), locale_name())


def _date(value: date) -> date:
    return value.date() if isinstance(value, datetime) else value


# Lists name few days, but each of them many times.


@lru_cache(1024)
def _day(value: date, pattern: str, name: str) -> str:
    return format_date(value, pattern, locale=_parsed(name))


@lru_cache(1024)
def _day_of_year(value: date, name: str) -> str:
    return format_skeleton("MMMd", value, locale=_parsed(name))


@lru_cache(1024)
def _number(count: int, name: str) -> str:
    return str(format_decimal(count, locale=_parsed(name)))


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
    return _number(count, locale_name())


def plural(count: int, word: str) -> str:
    """Return a count of what `word` names in COUNTED, such as "3 documents"."""
    return ngettext(*COUNTED[word], count)


def ngettext(one: str, many: str, count: int, /, **values: Any) -> str:
    """Return the translation for this count, written as the user's locale does."""
    return i18n.ngettext(one, many, count, num=number(count), **values)


def translate(message: str, /, **values: Any) -> Markup:
    """Return the translation of a template's message, which may hold markup, with escaped values filled in."""
    text = Markup(i18n.gettext(message))
    return text % values if values else text


def translate_plural(one: str, many: str, count: int, /, **values: Any) -> Markup:
    """Return the translation of a template's message for this count. Values are escaped."""
    text = Markup(i18n.language().messages.ngettext(one, many, count))
    return text % {"num": number(count), **values}


def sanitize(html: str) -> Markup:
    """Sanitize HTML a second time before marking it as safe."""
    return Markup(nh3.clean(html, tags=TAGS, attributes=ATTRIBUTES))


def init_app(app: Flask) -> None:
    names = {path.stem for path in Path(str(app.static_folder), "icons").glob("*.svg")}

    @lru_cache
    def icon(name: str) -> Markup:
        if name not in names:
            raise KeyError(name)
        sprite = app.url_for("static", filename="icons.svg")
        return Markup('<svg class="mf-icon" aria-hidden="true"><use href="{}#{}"/></svg>').format(sprite, name)

    def sheet(name: str) -> Markup:
        return Markup(f"<style>\n{Path(str(app.static_folder), name).read_text()}</style>")

    app.jinja_env.add_extension("jinja2.ext.i18n")
    app.jinja_env.newstyle_gettext = True  # type: ignore[attr-defined]  # set by the extension
    app.jinja_env.globals.update(
        _=translate, gettext=translate, ngettext=translate_plural, language=i18n.language,
        icon=icon, sheet=sheet, document_fields=FORM_FIELDS, media_groups=GROUPS,
    )  # fmt: skip
    for function in (day, short_day, day_of_year, moment, iso, filesize, age, number, plural, sanitize, initials):
        app.jinja_env.filters[function.__name__] = function
