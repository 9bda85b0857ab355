"""Messages are translated into the active language, with their values filled in and, in templates, escaped."""

from collections.abc import Iterator
from dataclasses import dataclass
from gettext import NullTranslations

import pytest
from flask import Flask

from medfiles import i18n
from medfiles.errors import NotFound, Rejected
from medfiles.record_types.declared import VISIT

GERMAN = {
    "Visit": "Termin",
    "visit": "Termin",
    "Reason for the visit": "Grund",
    "Hello %(name)s": "Hallo %(name)s",
    "%(num)s file": "%(num)s Datei",
    "%(num)s files": "%(num)s Dateien",
    "This page or document does not exist, or you do not have access to it.": "Nicht gefunden.",
}


class German(NullTranslations):
    def gettext(self, message: str) -> str:
        return GERMAN.get(message, message)

    def ngettext(self, msgid1: str, msgid2: str, n: int) -> str:
        return self.gettext(msgid1 if n == 1 else msgid2)


@pytest.fixture
def german() -> Iterator[None]:
    i18n.activate(i18n.Language("de", German()))
    yield
    i18n.activate(i18n.ENGLISH)


def test_english_messages_are_returned_as_they_are() -> None:
    assert i18n.gettext("100%") == "100%"
    assert i18n.gettext("Hello %(name)s", name="Ella") == "Hello Ella"
    assert [i18n.ngettext("%(num)s file", "%(num)s files", n) for n in (1, 2, 1234)] == [
        "1 file",
        "2 files",
        "1,234 files",
    ]
    assert i18n.gettext("") == ""


@pytest.mark.usefixtures("german")
def test_messages_are_translated_with_their_values() -> None:
    assert i18n.gettext("Hello %(name)s", name="Ella") == "Hallo Ella"
    assert [i18n.ngettext("%(num)s file", "%(num)s files", n) for n in (1, 2)] == ["1 Datei", "2 Dateien"]


@pytest.mark.usefixtures("german")
def test_declared_labels_are_translated_when_they_are_read() -> None:
    assert (VISIT.title, VISIT.noun, VISIT.fields[0].label) == ("Termin", "Termin", "Grund")
    i18n.activate(i18n.ENGLISH)
    assert (VISIT.title, VISIT.noun, VISIT.fields[0].label) == ("Visit", "visit", "Reason for the visit")


@pytest.mark.usefixtures("german")
def test_errors_translate_their_messages() -> None:
    assert NotFound().message == "Nicht gefunden."
    assert Rejected("Not marked").message == "Not marked"


def test_decorated_attributes_keep_defaults_and_equality() -> None:
    @i18n.translated("label")
    @dataclass(frozen=True)
    class Labeled:
        name: str
        label: str = "Visit"

    assert (Labeled("a").label, Labeled("a", "Other").label) == ("Visit", "Other")
    assert Labeled("a") == Labeled("a", "Visit") != Labeled("a", "Other")


def test_templates_escape_values_but_not_messages(app: Flask) -> None:
    source = '{{ _("<b>%(name)s</b>", name="<i>") }}{% trans name="<i>" %} 100% <b>{{ name }}</b>{% endtrans %}'
    with app.test_request_context():
        assert app.jinja_env.from_string(source).render() == "<b>&lt;i&gt;</b> 100% <b>&lt;i&gt;</b>"
