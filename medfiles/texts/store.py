"""The texts of pages in the database, by the SHA-256 of the document's bytes.

A text is dropped along with the last document that has these bytes.
"""

import json
import math
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from sqlalchemy import ColumnElement, and_, delete, exists, func, not_, or_, select

from medfiles.antivirus.policy import CLEAN
from medfiles.clock import now
from medfiles.database.session import count, db, end_read, read, transaction
from medfiles.errors import NotFound
from medfiles.jobs.queue import TEXT
from medfiles.models import EntityFile, Job, PageText
from medfiles.search import index
from medfiles.text import UNWANTED
from medfiles.texts.layout import Word

RECIPE = 1  # increase this to read every document again
TEXT_LAYER, OCR, NONE = "text-layer", "ocr", "none"  # sources
# failures: no engine can recognize the page's picture; the file cannot be opened; reading took too long or crashed
NO_ENGINE, LOCKED, DAMAGED, UNSUPPORTED, TIMEOUT, CRASHED = (
    "no-engine", "locked", "damaged", "unsupported", "timeout", "crashed",
)  # fmt: skip
FAILURES = (NO_ENGINE, LOCKED, DAMAGED, UNSUPPORTED, TIMEOUT, CRASHED)
MAX_CHARACTERS, MAX_WORDS = 200_000, 40_000  # of a page
BATCH = 100
HAS_DOCUMENT = exists().where(EntityFile.sha256 == PageText.sha256)
IS_CURRENT = PageText.recipe == RECIPE
IS_LAST_PAGE = PageText.page == PageText.pages  # pages are read in order, so the last one says that all are read


@dataclass(frozen=True)
class TextStatus:
    """Figures for the status page: pages by source, and those that could not be read by failure.

    waiting   documents not read yet
    given_up  documents among them whose job has failed too often, until it is asked for again
    """

    pages: Mapping[str, int]
    failures: Mapping[str, int]
    waiting: int
    given_up: int = 0
    engine: str | None = None


def find(sha256: str, page: int) -> PageText | None:
    """Return the text of a page, detached, or None if it has not been read yet."""
    query = select(PageText).where(PageText.sha256 == sha256, PageText.page == page)
    row = db.session.scalar(query.order_by(PageText.recipe.desc()).limit(1))
    if row is not None:
        db.session.expunge(row)
    end_read()
    return row


def texts(sha256: str, first: int = 1, most: int = 1) -> Sequence[PageText]:
    """Return the texts of up to `most` pages from `first` on, in order."""
    query = select(PageText).where(PageText.sha256 == sha256, IS_CURRENT, PageText.page >= first)
    rows = db.session.scalars(query.order_by(PageText.page).limit(most)).all()
    for row in rows:
        db.session.expunge(row)
    end_read()
    return rows


def known(sha256: str) -> Mapping[int, str | None]:
    """Return the pages read with the current recipe, each with its failure."""
    rows = read(select(PageText.page, PageText.failure).where(PageText.sha256 == sha256, IS_CURRENT))
    return {int(page): failure for page, failure in rows}


def store(
    sha256: str,
    page: int,
    pages: int,
    source: str,
    text: str = "",
    words: Iterable[Word] = (),
    failure: str | None = None,
) -> None:
    """Store the text of a page, in place of an earlier one. Raises NotFound if its last document has been purged.

    Text and words come from a process that opened someone else's file, so they are cleaned.
    """
    text = clean(text)[:MAX_CHARACTERS]
    if source != NONE and not text.strip():
        source, text = NONE, ""
    row = PageText(
        sha256=sha256, page=page, recipe=RECIPE, pages=pages, source=source, text=text,
        words=json.dumps(clean_words(words) if text else [], ensure_ascii=False, separators=(",", ":")),
        failure=failure, read_at=now(),
    )  # fmt: skip
    with transaction() as session:
        lock = select(EntityFile.id).where(EntityFile.sha256 == sha256).limit(1).with_for_update()
        if session.scalar(lock) is None:
            raise NotFound()
        session.execute(delete(PageText).where(PageText.sha256 == sha256, PageText.page == page))
        session.add(row)
        if page == pages:  # the document may have had more pages when it was read with an earlier recipe
            session.execute(delete(PageText).where(PageText.sha256 == sha256, PageText.page > pages))
            index.put_texts(sha256)


def clean(text: str) -> str:
    return UNWANTED.sub("", text)


def clean_words(words: Iterable[Word]) -> list[list[Any]]:
    """Return the words as stored. Boxes are cut at the edges of the page; words without a place on it are left out."""
    kept: list[list[Any]] = []
    for word, *box in words:
        text = clean(word)
        if len(kept) == MAX_WORDS:
            break
        if not text or not all(math.isfinite(value) for value in box):
            continue
        left, top = max(box[0], 0.0), max(box[1], 0.0)
        right, bottom = min(box[0] + box[2], 1.0), min(box[1] + box[3], 1.0)
        if right > left and bottom > top:
            kept.append([text, *(round(value, 5) for value in (left, top, right - left, bottom - top))])
    return kept


def words_of(row: PageText) -> list[Word]:
    return [Word(*word) for word in json.loads(row.words)]


def forget(sha256: str) -> None:
    """Delete the texts of these bytes in the open transaction, so that they are read again."""
    db.session.execute(delete(PageText).where(PageText.sha256 == sha256))
    index.put_texts(sha256)


def release(hashes: Collection[str]) -> None:
    """Delete texts whose last document is being deleted in the open transaction."""
    db.session.flush()
    db.session.execute(delete(PageText).where(PageText.sha256.in_(hashes), ~HAS_DOCUMENT))


def clear_orphans() -> int:
    """Delete texts without a document, left behind if the last two with a hash are deleted concurrently."""
    with transaction() as session:
        gone: Any = session.execute(delete(PageText).where(~HAS_DOCUMENT))
        return int(gone.rowcount)


def is_readable() -> ColumnElement[bool]:
    """Condition on documents: a scan has not found malware in them, nor are they waiting for one."""
    return or_(EntityFile.scan.is_(None), EntityFile.scan == CLEAN)


def is_unread() -> ColumnElement[bool]:
    """Condition on documents: their last page has not been read with the current recipe."""
    last = exists().where(PageText.sha256 == EntityFile.sha256, IS_CURRENT, IS_LAST_PAGE)
    return and_(is_readable(), not_(last))


def needs_engine() -> ColumnElement[bool]:
    """Condition on documents: there was no engine to recognize some of their pages."""
    return exists().where(PageText.sha256 == EntityFile.sha256, PageText.failure == NO_ENGINE)


def waiting() -> int:
    """Count the documents that are not read yet."""
    return count(EntityFile.id, is_unread())


def status() -> TextStatus:
    by_source = db.session.execute(select(PageText.source, func.count()).group_by(PageText.source)).all()
    failed = select(PageText.failure, func.count()).where(PageText.failure.is_not(None)).group_by(PageText.failure)
    given_up = count(Job.id, Job.kind == TEXT, Job.due_at.is_(None))
    pages = dict.fromkeys((TEXT_LAYER, OCR, NONE), 0) | {str(source): number for source, number in by_source}
    return TextStatus(
        pages, {str(failure): number for failure, number in db.session.execute(failed)}, waiting(), given_up
    )


def disagreements() -> Sequence[str]:
    """Return the hashes whose rows do not fit together although no job is about to change them.

    Either no document has these bytes, or the rows are not the document's pages from the first to the last one.
    """
    pending = select(EntityFile.sha256).join(Job, and_(Job.kind == TEXT, Job.subject == EntityFile.id))
    incomplete = (func.count() != func.max(PageText.pages)) | (func.min(PageText.pages) != func.max(PageText.pages))
    query = select(PageText.sha256).group_by(PageText.sha256).having(incomplete)
    wrong = [sha256 for (sha256,) in read(query.where(PageText.sha256.not_in(pending)))]
    orphans = [sha256 for (sha256,) in read(select(PageText.sha256).where(~HAS_DOCUMENT).distinct())]
    return sorted({*wrong, *orphans})
