"""A language made up for tests, from the messages in the source: accented, and 40 % longer than English."""

import re
from collections.abc import Iterator
from gettext import NullTranslations
from pathlib import Path

from babel.messages.extract import extract_from_file
from babel.messages.frontend import parse_keywords, parse_mapping_cfg
from flask import Flask

from medfiles import i18n
from medfiles.app import create_app

ROOT = Path(__file__).parents[2]
LONGER = 1.4
KEPT = re.compile(r"(%\(\w+\)s|<[^>]*>|&\w+;)")
ACCENTED = str.maketrans({"a": "àà", "e": "èè", "i": "ìì", "o": "òò", "u": "ùù", "y": "ÿÿ"})
CAPITALS = str.maketrans({"A": "Àà", "E": "Èè", "I": "Ìì", "O": "Òò", "U": "Ùù", "Y": "Ÿÿ"})
ACCENTS = "àèìòùÿÀÈÌÒÙŸñ"
Message = str | tuple[str, ...]


def messages(kind: str) -> Iterator[Message]:
    """The marked messages: "server" in templates and modules, "scripts" in scripts."""
    with (ROOT / "babel" / f"{kind}.cfg").open() as lines:
        mapping, options = parse_mapping_cfg(lines)  # type: ignore[no-untyped-call]
    keywords = parse_keywords(["N_", "ngettext_noop:1,2"]) | parse_keywords(["_", "gettext", "ngettext:1,2"])
    for pattern, method in mapping:
        for path in sorted(ROOT.glob(pattern)):
            for _, message, _, _ in extract_from_file(method, path, keywords, options=options[pattern]):
                yield message


def pseudo(message: str) -> str:
    parts = KEPT.split(message)
    words = "".join(part if number % 2 else part.translate(ACCENTED | CAPITALS) for number, part in enumerate(parts))
    short = LONGER * len(KEPT.sub("", message)) - len(KEPT.sub("", words))
    return words + "ñ" * max(0, round(short))


class Pseudo(NullTranslations):
    def __init__(self) -> None:
        super().__init__()
        found = [message for each in messages("server") for message in ((each,) if isinstance(each, str) else each)]
        self.catalog = {message: pseudo(message) for message in found}

    def gettext(self, message: str) -> str:
        return self.catalog.get(message, message)

    def ngettext(self, msgid1: str, msgid2: str, n: int) -> str:
        return self.gettext(msgid1 if n == 1 else msgid2)


def language() -> i18n.Language:
    scripts = {
        message if isinstance(message, str) else message[0]: (
            pseudo(message) if isinstance(message, str) else [pseudo(form) for form in message]
        )
        for message in messages("scripts")
    }
    return i18n.Language("en-XA", Pseudo(), scripts)


def speaking(app: Flask) -> Flask:
    """The app, which answers every request in this language."""
    spoken = language()
    app.before_request_funcs.setdefault(None, []).insert(0, lambda: i18n.activate(spoken))
    return app


def __getattr__(name: str) -> Flask:
    """Make `tests.support.pseudo_language:app` when a server asks for it."""
    if name != "app":
        raise AttributeError(name)
    return speaking(create_app())
