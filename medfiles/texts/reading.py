"""Read the text of documents, page by page, so that an interrupted reading continues where it stopped."""

import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import date
from pathlib import Path
from typing import Any, NamedTuple

import structlog
from sqlalchemy import select

from medfiles.content import DocumentContent, opened
from medfiles.database.session import db
from medfiles.errors import BlobMissing, IntegrityFailed, NotFound
from medfiles.models import EntityFile
from medfiles.previews.renderer import Renderer
from medfiles.sandbox.pool import NotChecked, TimedOut
from medfiles.texts import store, suggesting
from medfiles.texts.layout import Word, in_reading_order
from medfiles.texts.recognition import Engine
from medfiles.texts.store import CRASHED, DAMAGED, FAILURES, NO_ENGINE, NONE, OCR, TEXT_LAYER, TIMEOUT

log = structlog.get_logger("medfiles.texts.reading")
TASKS = ("medfiles.sandbox.render.page_text", "medfiles.sandbox.render.scan")
SLICE = 20.0  # seconds after which a job makes room for others
MAX_PAGES = 20_000


class Extracted(NamedTuple):
    """A page as a worker read it. With `ocr`, its picture shows more than `text`."""

    text: str
    words: list[Word]
    ocr: bool
    failure: str | None = None


class Answer(NamedTuple):
    """What a worker says of a document: its number of pages, declared dates by source, and some pages' texts."""

    pages: int
    dates: Mapping[str, date]
    texts: list[Extracted]


class Unreadable(Exception):
    """The document cannot be opened. The argument is the failure to store."""


@dataclass(frozen=True)
class Reader:
    """Reads documents in sandbox workers. `engine` recognizes the text in pictures, if one is installed."""

    renderer: Renderer
    engine: Engine | None = None

    def read(self, file_id: int, seconds: float = float("inf")) -> bool:
        """Read a document's missing pages, then suggest its date. Return whether all of it is read.

        seconds  stop after the page during which this time has passed
        """
        file = db.session.scalar(select(EntityFile).where(EntityFile.id == file_id, store.is_readable()))
        if file is None:
            return True
        db.session.expunge(file)
        db.session.rollback()
        try:
            dates = self._read(opened(file, self.renderer.storages), time.monotonic() + seconds)
        except (NotFound, BlobMissing, IntegrityFailed) as error:  # just purged, or damaged in the store
            log.info("not read", document=file_id, code=error.code)
            return True
        if dates is not None:
            suggesting.suggest(file, dates)
        return dates is not None

    def _read(self, document: DocumentContent, deadline: float) -> Mapping[str, date] | None:
        """Read the missing pages. Return the dates that the file declares, or None if the time is over."""
        sha256, pages = document.file.sha256, document.file.pages or 1
        known = store.known(sha256)
        try:
            with self._local_file(document) as (path, media_type):
                answer = self._extract(path, media_type, first := self._missing(known), pages)
                while first <= answer.pages:
                    for page, extracted in enumerate(answer.texts, first):
                        if self._missing(known, page) == page:
                            self._read_page(sha256, path, media_type, page, answer.pages, extracted)
                        if time.monotonic() > deadline and page < answer.pages:
                            return None
                    first = self._missing(known, first + len(answer.texts))
                    answer = self._extract(path, media_type, first, answer.pages)
                return answer.dates
        except Unreadable as error:
            store.store(sha256, 1, 1, NONE, failure=str(error))
            return {}

    def _missing(self, known: Mapping[int, str | None], first: int = 1) -> int:
        """Return the next page from `first` on that is still to be read: the one after the last if there is none."""
        while first in known and not (known[first] == NO_ENGINE and self.engine):
            first += 1
        return first

    def _extract(self, path: Path, media_type: str, first: int, pages: int) -> Answer:
        """Read some pages. If they crash the worker, read the first of them alone, which may then be the failed one."""
        for only in (False, True):
            try:
                answer = self.renderer.sandbox.run("text", file=path, media_type=media_type, first=first, only=only)
            except NotChecked as error:
                failure = TIMEOUT if isinstance(error, TimedOut) else CRASHED
            else:
                if "reason" in answer:
                    raise Unreadable(answer["reason"] if answer["reason"] in FAILURES else DAMAGED)
                return checked(answer, first)
        return Answer(pages, {}, [Extracted("", [], False, failure)] if first <= pages else [])

    def _read_page(self, sha256: str, path: Path, media_type: str, page: int, pages: int, extracted: Extracted) -> None:
        source, failure = TEXT_LAYER, extracted.failure
        text, words = extracted.text, extracted.words
        if extracted.ocr and self.engine is None:
            failure = NO_ENGINE
        elif extracted.ocr and self.engine is not None:
            try:
                text, words = in_reading_order(self.engine.recognize(path, media_type, page))
                source = OCR
            except NotChecked as error:
                failure = TIMEOUT if isinstance(error, TimedOut) else CRASHED
        store.store(sha256, page, pages, source, text, words, failure)

    @contextmanager
    def _local_file(self, document: DocumentContent) -> Iterator[tuple[Path, str]]:
        try:
            with self.renderer.local_file(document) as opened_as:
                yield opened_as
        except NotChecked as error:  # LibreOffice cannot convert it
            raise Unreadable(TIMEOUT if isinstance(error, TimedOut) else DAMAGED) from error


def checked(answer: dict[str, Any], first: int) -> Answer:
    """Return a worker's answer. Raises Unreadable if it is not what a worker sends, or does not go on."""
    try:
        texts = [
            Extracted(
                str(one["text"]), [Word(str(text), *map(float, box)) for text, *box in one["words"]], bool(one["ocr"])
            )
            for one in answer["texts"]
        ]
        dates = {str(source): date.fromisoformat(day) for source, day in answer["dates"].items()}
        pages = int(answer["pages"])
    except (AttributeError, KeyError, TypeError, ValueError) as error:
        raise Unreadable(CRASHED) from error
    if not 1 <= pages <= MAX_PAGES or (first <= pages) != bool(texts):
        raise Unreadable(CRASHED)
    return Answer(pages, dates, texts[: max(0, pages - first + 1)])
