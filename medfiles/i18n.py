"""Translate what people read. The messages are in English, which needs no catalog."""

from collections.abc import Callable, Mapping, Sequence
from contextvars import ContextVar
from dataclasses import dataclass, field
from gettext import NullTranslations
from typing import Any, TypeVar

T = TypeVar("T")


@dataclass(frozen=True)
class Language:
    """A language and its two catalogs: of the server's messages, and of the messages that scripts show.

    In `scripts`, a message with plural forms has the list of them, in the order of CLDR's plural categories.
    """

    tag: str = "en"
    messages: NullTranslations = field(default_factory=NullTranslations)
    scripts: Mapping[str, str | Sequence[str]] = field(default_factory=dict)


ENGLISH = Language()
_current: ContextVar[Language] = ContextVar("language", default=ENGLISH)


def activate(language: Language) -> None:
    """Use this language in the current request or thread."""
    _current.set(language)


def language() -> Language:
    return _current.get()


def N_(message: str) -> str:
    """Mark a message where it is declared. It is translated where it is shown."""
    return message


def ngettext_noop(one: str, many: str) -> tuple[str, str]:
    """Mark a message with plural forms where it is declared."""
    return one, many


def gettext(message: str, /, **values: Any) -> str:
    """Return the translation of a message, with its %(named)s placeholders filled in."""
    text = _current.get().messages.gettext(message) if message else ""
    return text % values if values else text


def ngettext(one: str, many: str, count: int, /, **values: Any) -> str:
    """Return the translation for this count, which is also the placeholder %(num)s."""
    text = _current.get().messages.ngettext(one, many, count)
    return text % {"num": f"{count:,}", **values}


class _Translated:
    def __init__(self, name: str) -> None:
        self.name = name

    def __get__(self, instance: Any, owner: type) -> Any:
        return self if instance is None else gettext(instance.__dict__[self.name])

    def __set__(self, instance: Any, value: str) -> None:
        instance.__dict__[self.name] = value


def translated(*names: str) -> Callable[[type[T]], type[T]]:
    """Return a class decorator that translates these attributes of a dataclass whenever they are read."""

    def decorate(decorated: type[T]) -> type[T]:
        for name in names:
            setattr(decorated, name, _Translated(name))
        return decorated

    return decorate
