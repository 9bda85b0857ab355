"""Text that would be a script if it were not escaped, in every field that takes text, on every page that shows it."""

import re
from bisect import bisect_right
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import PurePath
from typing import Any

from medfiles.accounts import api_tokens
from medfiles.accounts.api_tokens import NAME_LIMIT
from medfiles.documents.detection import clean_name
from medfiles.record_types.document_fields import DOCUMENT_FIELDS
from medfiles.record_types.fields import PATIENT_FIELDS, TEXT_LIMIT, Field
from medfiles.text import clean_text
from tests.proof.corpus.desk import KINDS, Desk
from tests.proof.corpus.pages import Shape, elements, foreign, shape, words
from tests.proof.corpus.sources import scripts, some, strings
from tests.support import samples
from tests.support.api_client import Script, script
from tests.support.factories import Browser

FILE_NAME = 100  # characters of a name that surely stays whole
PLAIN = "Word"
RIGHT = {
    "first_name": "Ella", "last_name": "Sample", "birth_date": "2018-03-02", "date": "2026-05-12",
    "effective_date": "2026-01-01",
}  # fmt: skip
AROUND = ("/", "/account", "/patients/new", "/account/tokens/new")
OF_PATIENT = (
    "", "/edit", "/people", "/trash", "/activity", "/lab-results", "/visits", "/procedures", "/insurances",
    "/visits/new",
)  # fmt: skip
OF_RECORD = (
    "/{kind}/{record}", "/{kind}/{record}/edit", "/documents/{kind}/{record}",
    "/documents/{kind}/{record}?edit={file}", "/documents/{kind}/{record}/trash",
)  # fmt: skip
AS_PART = (
    "/{kind}/{record}/edit", "/documents/{kind}/{record}", "/documents/{kind}/{record}/list",
    "/documents/{kind}/{record}/list?edit={file}", "/documents/{kind}/{record}/badge",
)  # fmt: skip
OF_FILE = ("/documents/files/{file}/preview", "/documents/files/{file}/print")

[DESCRIPTION_LIMIT] = [field.limit for field in DOCUMENT_FIELDS if field.name == "description"]


@dataclass(frozen=True)
class Slot:
    """One field that takes text: whose, called what, how many characters."""

    form: str
    name: str
    limit: int


def slots(desk: Desk) -> list[Slot]:
    """Every text field of every form, the narrowest first."""
    found = [*_of("patient", PATIENT_FIELDS)]
    for kind in KINDS:
        found += _of(kind, desk.world.kind(kind).fields)
        found += [
            Slot(f"{kind} document", "file_name", FILE_NAME),
            Slot(f"{kind} document", "description", DESCRIPTION_LIMIT),
        ]
    found += [Slot("token", "name", NAME_LIMIT), Slot("device", "user agent", 200)]
    return sorted(found, key=lambda slot: slot.limit)


def _of(form: str, fields: Sequence[Field]) -> Iterator[Slot]:
    for each in fields:
        if each.kind in ("string", "text"):
            yield Slot(form, each.name, TEXT_LIMIT if each.kind == "text" else each.limit)
        for name, _ in each.parts:
            yield Slot(form, f"{each.name}-{name}", each.limit)


def filled(desk: Desk, share: int) -> Iterator[dict[Slot, str]]:
    """All strings, as many at once as there are fields: each field gets the longest that still fits into it."""
    every = sorted(some("words", sorted({*scripts(), *strings()}), share), key=len)
    every = [text for text in every if usable(text)]
    lengths, free = [len(text) for text in every], slots(desk)
    while every:
        chosen: dict[Slot, str] = {}
        for slot in free:
            if (at := bisect_right(lengths, slot.limit)) and every:
                lengths.pop(at - 1)
                chosen[slot] = every.pop(at - 1)
        if not chosen:
            return
        yield {slot: chosen.get(slot, PLAIN) for slot in free}


def usable(text: str) -> bool:
    """Whether anything of it is left to be shown."""
    cleaned = clean_text(text, TEXT_LIMIT, "") or ""
    return len(cleaned) <= len(text) and any(letter.isprintable() and not letter.isspace() for letter in cleaned)


@dataclass
class Household:
    """A new account whose patient, records, documents, token and device are called as `text` says."""

    desk: Desk
    email: str
    text: Mapping[Slot, str]
    ids: dict[str, dict[str, int]] = field(default_factory=dict)

    def __post_init__(self) -> None:
        self.values: dict[str, dict[str, str]] = {}
        for slot, text in self.text.items():
            self.values.setdefault(slot.form, {})[slot.name] = text
        self.browser = Browser(self.desk.world.client(self.email), False)
        self.patient = self.made("/patients/new", "patient", "/patients/")
        for kind in KINDS:
            plural = self.desk.world.kind(kind).plural
            record = self.made(f"/patients/{self.patient}/{plural}/new", kind, f"/{kind}/")
            self.ids[kind] = {"record": record, "file": self.document(kind, record)}
        api_tokens.create(self.desk.world.actor(self.email), self.said("token", name=PLAIN)["name"])

    @cached_property
    def script(self) -> Script:
        return script(self.desk.world, self.email)

    def said(self, form: str, **right: str) -> dict[str, str]:
        return {**right, **self.values.get(form, {})}

    def made(self, address: str, form: str, place: str) -> int:
        needed = {name: value for name, value in RIGHT.items() if form == "patient" or not name.endswith("_name")}
        if form != "patient":
            needed |= {
                entry.name: PLAIN
                for entry in self.desk.world.kind(form).fields
                if entry.required and entry.kind == "string"
            }
        answer = self.browser.post(address, **self.said(form, **needed))
        assert answer.status_code == 303, (
            f"{form}: {answer.status_code}: {re.findall('mf-error[^>]*>([^<]*)', answer.text)}"
        )
        return int(answer.headers["Location"].rpartition(place)[2])

    def document(self, kind: str, record: int) -> int:
        said = self.said(f"{kind} document", file_name=PLAIN)
        name = f"{said.pop('file_name')}.pdf"
        if not PurePath(clean_name(name)).suffix:  # it ends as the name of a folder does
            name = f"{PLAIN}.pdf"
        answer = self.script.upload(f"/{kind}/{record}/files", name, samples.pdf(), **said)
        assert answer.status_code == 201, f"document: {answer.status_code}: {answer.text}"
        return int(answer.get_json()["id"])

    def shown(self, in_parts: bool) -> Iterator[tuple[str, str]]:
        return self.parts() if in_parts else self.pages()

    def pages(self) -> Iterator[tuple[str, str]]:
        """Address without numbers, and the page that is there."""
        for address in AROUND:
            yield address, self.got(address)
        for rest in OF_PATIENT:
            yield f"patient{rest}", self.got(f"/patients/{self.patient}{rest}")
        for kind, ids in self.ids.items():
            looks = OF_FILE if "preview" in self.desk.world.kind(kind).operations else ()
            for address in (*OF_RECORD, *looks):
                yield address.format(kind=kind, record=0, file=0), self.got(address.format(kind=kind, **ids))

    def parts(self) -> Iterator[tuple[str, str]]:
        """As script asks for them; and last what is said when things are deleted."""
        yield "what was said", self.got("/account")
        yield "patient/edit", self.got(f"/patients/{self.patient}/edit")
        for kind, ids in self.ids.items():
            for address in AS_PART:
                there = self.browser.client.get(address.format(kind=kind, **ids), headers={"HX-Request": "true"})
                yield f"part {address}".format(kind=kind, record=0, file=0), there.text
            if "preview" in self.desk.world.kind(kind).operations:
                where = f"/documents/{kind}/{ids['record']}/bulk"
                yield f"{kind} printed", self.browser.post(where, action="print", all="1").text
        yield from self.goodbye()

    def goodbye(self) -> Iterator[tuple[str, str]]:
        for kind, ids in self.ids.items():
            gone = self.browser.post(f"/documents/files/{ids['file']}/delete")
            yield f"{kind} document gone", self.got(gone.headers["Location"])
            yield f"{kind} trash", self.got(f"/documents/{kind}/{ids['record']}/trash")
            left = self.browser.post(f"/{kind}/{ids['record']}/delete")
            yield f"{kind} gone", self.got(left.headers["Location"])
        for rest in ("trash", "activity"):
            yield f"the {rest}", self.got(f"/patients/{self.patient}/{rest}")

    def got(self, address: str) -> str:
        self.desk.world.prove()
        agent = self.said("device", **{"user agent": PLAIN})["user agent"]
        headers = {"User-Agent": agent.encode("utf-8", "replace").decode("latin-1").translate(ENDS)}
        answer = self.browser.client.get(address, headers=headers)
        assert answer.status_code == 200, f"{address}: {answer.status_code}"
        return str(answer.text)


ENDS = str.maketrans("\r\n\0", "   ")


def harmless(desk: Desk, in_parts: bool) -> dict[str, Shape]:
    """What every page consists of when all fields hold a word."""
    text = {slot: f"{PLAIN}{number}" for number, slot in enumerate(slots(desk))}
    home = Household(desk, f"harmless-{in_parts}@sample.example", text)
    return {name: shape(elements(page)) for name, page in home.shown(in_parts)}


def wrong(desk: Desk, number: int, text: Mapping[Slot, str], right: Mapping[str, Shape], in_parts: bool) -> list[str]:
    """Pages that consist of something else, with what; and strings that no page shows."""
    try:
        home = Household(desk, f"{number}@sample.example", text)
        pages = {name: elements(page) for name, page in home.shown(in_parts)}
    except AssertionError as failure:
        return [str(failure)[:300]]
    found = [said for name, page in pages.items() for said in _changed(name, page, right)]
    shown = "".join(squeezed(word) for page in pages.values() for word in words(page))
    hidden = [(slot, value) for slot, value in text.items() if not _is_shown(slot, value, shown)]
    return found + [f"{slot.form}'s {slot.name} is shown nowhere: {value[:80]!r}" for slot, value in hidden]


def _changed(name: str, page: Sequence[Any], right: Mapping[str, Shape]) -> Iterator[str]:
    now = shape(page)
    more, less = now - right[name], right[name] - now
    if more or less or foreign(page):
        yield f"{name}: more {dict(more)}, less {dict(less)}, foreign {foreign(page)[:3]}"


def _is_shown(slot: Slot, value: str, shown: str) -> bool:
    """File names lose what no name may hold, devices are only recognised: neither is shown to the letter."""
    cleaned: Any = clean_text(value, TEXT_LIMIT, "")
    return slot.name in ("file_name", "user agent") or squeezed(cleaned) in shown


def squeezed(text: str) -> str:
    """Without white space, of which readers of HTML take some kinds away."""
    return "".join(text.split())
