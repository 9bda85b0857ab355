"""An installation that is sent hostile inputs, and the judge of how it met each of them."""

import os
import signal
import traceback
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from importlib import import_module
from pathlib import Path
from types import FrameType
from typing import Any

from sqlalchemy import func, select
from werkzeug.test import TestResponse

from medfiles.accounts import api_tokens
from medfiles.accounts import service as accounts
from medfiles.config import SETTINGS
from medfiles.database.session import db
from medfiles.models import EntityFile, StorageJournal
from tests.proof.corpus.pages import elements, foreign
from tests.support import samples
from tests.support.api_client import Script, problem, script
from tests.support.factories import Browser, World

SECONDS = 60  # an answer that takes longer is none: what looks into content has limits of its own, far below
DOCUMENT_POLICY = "default-src 'none'; sandbox; frame-ancestors 'none'"
PASSWORD = "correct horse battery staple"
KINDS = ("lab-result", "visit", "procedure", "insurance")
LIMITS = "".join(f"[{kind}]\nmax_files = 1000000\n" for kind in KINDS)
COUNTS = select(*(select(func.count(table.id)).scalar_subquery() for table in (EntityFile, StorageJournal)))
UNLIMITED = {setting.name: "0" for setting in SETTINGS if setting.name.endswith(("_PER_MINUTE", "_FAILURES"))}


@dataclass(frozen=True)
class Input:
    """One hostile input. `right`: the statuses it may be answered with; `stores`: whether a success is one document
    more, and `content` then its bytes, where they are known."""

    name: str
    send: "Callable[[Desk], TestResponse]"
    right: frozenset[int]
    stores: bool = False
    content: Callable[[], bytes] | None = None
    looked_at: bool = False  # a document that is accepted is then looked at


class TooSlow(Exception):
    """There was no answer within the time that anything may take."""


@dataclass
class Desk:
    """A record of each kind that takes any number of documents, one ordinary document, and ways to ask."""

    world: World
    by: Script = field(init=False)
    browser: Browser = field(init=False)
    plain: Browser = field(init=False)
    stranger: Browser = field(init=False)
    records: dict[str, int] = field(init=False)
    patient: int = field(init=False)
    file: int = field(init=False)
    before: tuple[int, int, int] | None = None  # what the store held after the last input

    def __post_init__(self) -> None:
        patient = self.world.patient()
        self.patient = patient.id
        self.records = {kind: self.world.record(kind, patient).id for kind in KINDS}
        record = self.world.records().get(self.world.kind("visit"), self.records["visit"])
        self.file = self.world.attach(record, "letter.txt", samples.txt()).id
        accounts.set_password(self.world.user().email, PASSWORD)
        self.by, self.browser = script(self.world, scope=api_tokens.SHARE), self.world.browser()
        self.plain = self.world.browser(htmx=False)
        self.stranger = Browser(self.world.client(None), False)

    def upload(self, name: str, content: bytes, kind: str = "visit", **more: Any) -> TestResponse:
        return self.by.upload(f"/{kind}/{self.records[kind]}/files", name, content, **more)

    def census(self) -> tuple[int, int, int]:
        """Documents, entries of the journal, objects in the store."""
        db.session.rollback()
        rows, entries = db.session.execute(COUNTS).one()
        return rows, entries, sum(len(files) for _, _, files in os.walk(self.world.uploads / "files"))

    def newest(self) -> EntityFile:
        return db.session.scalars(select(EntityFile).order_by(EntityFile.id.desc()).limit(1)).one()

    def wrong(self, one: Input) -> str | None:
        """What is wrong with how this input was met; None when nothing is."""
        before = self.before or self.census()
        self.before = None
        try:
            with within(SECONDS):
                answer = one.send(self)
            self.before = judge(self, one, answer, before)
        except (AssertionError, TooSlow) as failure:
            return f"{one.name[:150]!r}: {failure or traceback.format_exc(limit=-2)}"
        return None


@contextmanager
def within(seconds: int) -> Iterator[None]:
    def late(number: int, frame: FrameType | None) -> None:
        raise TooSlow(f"no answer within {seconds} seconds")

    before = signal.signal(signal.SIGALRM, late)
    signal.alarm(seconds)
    try:
        yield
    finally:
        signal.alarm(0)
        signal.signal(signal.SIGALRM, before)


def judge(desk: Desk, one: Input, answer: TestResponse, before: tuple[int, int, int]) -> tuple[int, int, int]:
    """What the store holds now."""
    status = answer.status_code
    assert status < 500, f"answered {status}"
    assert status in one.right, f"answered {status} instead of one of {sorted(one.right)}: {answer.text[:300]}"
    judge_answer(desk, answer)
    after = desk.census()
    stored = one.stores and status in (201, 303)
    assert after[1] == 0, "the journal is not empty"
    assert after[2] - before[2] == after[0] - before[0], "documents and objects are not the same number"
    assert (after[0] > before[0]) == stored, f"answered {status} with {after[0] - before[0]} documents more"
    staged = desk.world.uploads / "staged"
    assert not staged.exists() or not any(staged.iterdir()), "a temporary file is left"
    if stored:
        judge_stored(desk, one)
    return after


def judge_answer(desk: Desk, answer: TestResponse) -> None:
    """Its type cannot be guessed otherwise, it tells nothing of the inside, and no markup in it is not ours."""
    assert answer.headers["X-Content-Type-Options"] == "nosniff"
    assert all(text.isprintable() for pair in answer.headers for text in pair), "a control character in a header"
    if answer.mimetype == "text/html":
        assert not (strange := foreign(elements(answer.text))), f"unescaped: {strange[:3]}"
    elif answer.mimetype == "application/problem+json":
        problem(answer, answer.status_code, answer.get_json(force=True)["code"])
    if answer.status_code >= 400:
        assert str(Path(desk.world.app.instance_path)) not in answer.text
        assert "Traceback" not in answer.text


def judge_stored(desk: Desk, one: Input) -> None:
    file = desk.newest()
    answer = desk.by.get(f"/files/{file.id}/download")
    assert one.content is None or answer.data == one.content(), "other bytes came back"
    judge_download(answer, file.file_name)
    if one.looked_at:
        judge_look(desk, file.id)


def judge_look(desk: Desk, file_id: int) -> None:
    """Whatever is in it is shown or refused in a sentence; what has no pages to be drawn has words."""
    seen = desk.by.get(f"/files/{file_id}/thumbnail")
    if seen.status_code == 404:
        seen = desk.by.get(f"/files/{file_id}/preview")
    assert seen.status_code in (200, 422), f"a look at it was answered {seen.status_code}"
    assert seen.mimetype in ("image/webp", "application/json", "application/problem+json")
    judge_answer(desk, seen)


def judge_download(answer: TestResponse, name: str) -> None:
    """No browser may run it, show it, guess at it, keep it or lend it to others; and it is called what its row says."""
    assert answer.status_code == 200, f"its download was answered {answer.status_code}"
    headers = answer.headers
    assert headers["Content-Security-Policy"] == DOCUMENT_POLICY
    assert headers["Cross-Origin-Resource-Policy"] == "same-origin"
    assert headers["X-Content-Type-Options"] == "nosniff"
    assert headers["Cache-Control"] == "private, no-store"
    disposition = headers["Content-Disposition"]
    assert disposition.isprintable()
    assert disposition.isascii()
    called = import_module("tests.http.test_file_names").parsed(disposition)  # it needs the tests to be set up
    assert called == name, f"called {called!r} instead of {name!r}"
    assert 1 <= len(name) <= 255
    assert len(name.encode()) <= 240
    assert not set(name) & set("/\\\0\r\n\u202e\u2066"), "a character that no name may hold"


def statuses(*right: int) -> frozenset[int]:
    return frozenset(right)


def try_all(desk: Desk, inputs: Sequence[Input]) -> list[str]:
    """Send each; what was wrong, in a line for each that was. Other tests may have been at the desk before."""
    desk.before = None
    return [said for said in map(desk.wrong, inputs) if said]
