"""Verify that every document is stored and unaltered, and find unknown objects.

Problems are reported, and unknown objects can be set aside; nothing is deleted. Files of the older feature are not
checked.
"""

import sqlite3
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, field, replace
from datetime import datetime, timedelta
from typing import Any

from sqlalchemy import delete, exists, func, insert, not_, or_, select, update

from medfiles.clock import is_since, now
from medfiles.database.session import count, db, read, transaction
from medfiles.errors import BlobMissing, StorageError
from medfiles.jobs import last_runs
from medfiles.models import EntityFile, FixityFinding, Rendition, StorageJournal
from medfiles.storage import Storages, digest
from medfiles.storage.row_objects import ROW_OBJECTS
from medfiles.texts import store as texts

BATCH, READ_AT_ONCE = 500, 50
VERIFY, DEEP = "verify", "verify-deep"  # names of runs
SEEN = "CREATE TABLE seen (storage TEXT, key TEXT, size INTEGER, named INTEGER DEFAULT 0, PRIMARY KEY (storage, key))"
NAMED = "UPDATE seen SET named = 1 WHERE storage = ? AND key = ?"
DOCUMENT = (EntityFile.id, EntityFile.storage, EntityFile.file_path, EntityFile.file_size)
KINDS = {
    "missing": "the object of the document, photo or SMART Health Link is missing",
    "wrong-size": "the size of the object has changed",
    "unknown": "no document, photo, preview, SMART Health Link or journal entry refers to this object",
    "altered": "the content differs from what was stored",
    "unreadable": "the object cannot be read",
    "text": "the stored texts of pages are incomplete, or no document has this content",
}
DATABASE = "database"  # storage named by findings about texts, whose key is a SHA-256
Report = Callable[[int], None]
FOUND_BY_READING = ("altered", "unreadable")  # these are found and cleared only by reading the content


@dataclass(frozen=True)
class Finding:
    """A problem with an object. `kind` is a key of KINDS; `file_id` is None if no document names the object."""

    kind: str
    storage: str
    key: str
    file_id: int | None = None

    @property
    def text(self) -> str:
        what = f"document {self.file_id}" if self.file_id else self.key
        return f"{what}: {KINDS[self.kind]}"


@dataclass
class VerifyResult:
    """The findings of a check, and how much was checked."""

    objects: int = 0  # listed
    documents: int = 0  # compared with the listing
    read: int = 0  # documents whose content was compared
    bytes: int = 0  # read from these documents
    findings: list[Finding] = field(default_factory=list)
    set_aside: int = 0  # unknown objects moved to lost+found

    def __add__(self, deep: "VerifyResult") -> "VerifyResult":
        """Add the result of a deep check. Findings that occur in both are listed once."""
        findings = [*self.findings, *(one for one in deep.findings if one not in self.findings)]
        return replace(self, read=self.read + deep.read, bytes=self.bytes + deep.bytes, findings=findings)


def verify(storages: Storages, *, quarantine: bool = False, report: Report = lambda count: None) -> VerifyResult:
    """Compare stored objects with database rows. Each mismatch is checked again before it is reported.

    Objects are listed before rows are read. Documents that failed an earlier content check are read again.
    """
    began, result = now(), VerifyResult()
    seen = sqlite3.connect("")  # a temporary file: a storage may hold millions of objects
    seen.execute(SEEN)
    for storage in storages:
        for listed in storage.keys():
            seen.execute("INSERT OR REPLACE INTO seen VALUES (?, ?, ?, 0)", (storage.name, listed.key, listed.size))
            result.objects += 1
    for files in _documents():
        result.findings += _check_again(storages, [file for file in files if not _is_listed(seen, *file)])
        result.documents += len(files)
        report(result.documents)
    for kind in ROW_OBJECTS:
        for rows in _others(kind.columns):
            wrong = [row for row in rows if not _is_listed(seen, *row)]
            result.findings += _check_again(storages, wrong, kind.columns)
    for model in (Rendition, StorageJournal):
        after, named = 0, select(model.id, model.storage, model.key).where(model.key.is_not(None)).order_by(model.id)
        while rows := read(named.where(model.id > after).limit(BATCH)):
            seen.executemany(NAMED, [(storage, key) for _, storage, key in rows])
            after = rows[-1][0]
    for name, key in seen.execute("SELECT storage, key FROM seen WHERE NOT named").fetchall():
        if _is_unknown(storages, name, key):
            result.findings.append(Finding("unknown", name, key))
            if quarantine:
                storages[name].set_aside(key)
                result.set_aside += 1
    seen.close()
    result.findings += [Finding("text", DATABASE, sha256) for sha256 in _wrong_texts()]
    _store_findings(result.findings, began)
    result += _read_again(storages)
    _record_run(VERIFY, result)
    return result


def verify_deep(
    storages: Storages,
    *,
    before: datetime | None = None,
    limit: int | None = None,
    rate: int | None = None,
    report: Report = lambda count: None,
) -> VerifyResult:
    """Read documents and verify their SHA-256, starting with those not checked for the longest time.

    Reads only documents not checked since `before` (default: now), at most `limit` of them, and at most `rate` bytes
    per second. Progress is stored after each batch, so an interrupted check can continue.
    """
    before, result, began = before or now(), VerifyResult(), time.monotonic()

    def paced(read: int) -> None:
        if rate:
            time.sleep(max(0.0, result.bytes / rate - (time.monotonic() - began)))
        report(read)

    order = (EntityFile.last_checked_at.is_not(None), EntityFile.last_checked_at, EntityFile.id)
    due = select(EntityFile.id).where(_not_checked_since(before)).order_by(*order)
    while limit is None or result.read < limit:
        most = READ_AT_ONCE if limit is None else min(READ_AT_ONCE, limit - result.read)
        if not (ids := [file_id for (file_id,) in read(due.limit(most))]):
            break
        _read_all(storages, ids, result, paced)
    if result.read:
        _record_run(DEEP, result)
    return result


def total() -> int:
    return count(EntityFile.id)


def due_count(before: datetime) -> int:
    """Count documents that have not been checked since this time."""
    return count(EntityFile.id, _not_checked_since(before))


def keep_checking(storages: Storages, days: int) -> None:
    """Check one hour's share of the documents, so that all are checked within `days`.

    Once a day, also compare all objects with the database.
    """
    share = -(-total() // (days * 20))  # 20 runs a day instead of 24, since some are missed
    db.session.rollback()
    if share:
        verify_deep(storages, before=now() - timedelta(days=days * 5 / 6), limit=share)
    if last_runs.claim(VERIFY, timedelta(days=1)):
        verify(storages)


def findings(limit: int = 100) -> Sequence[FixityFinding]:
    """Return current findings, newest first."""
    return db.session.scalars(select(FixityFinding).order_by(FixityFinding.id.desc()).limit(limit)).all()


def count_findings() -> Mapping[str, int]:
    query = select(FixityFinding.kind, func.count(FixityFinding.id)).group_by(FixityFinding.kind)
    return {str(kind): int(count) for kind, count in db.session.execute(query)}


def _documents() -> Iterator[Sequence[Any]]:
    """Yield batches of (id, storage, key, size) for all documents, including those in the trash."""
    after, query = 0, select(*DOCUMENT).order_by(EntityFile.id).limit(BATCH)
    while files := read(query.where(EntityFile.id > after)):
        yield files
        after = files[-1][0]


def _others(columns: Sequence[Any]) -> Iterator[Sequence[Any]]:
    """Yield batches of (id, storage, key, size) for all photos, or all SMART Health Links, that have an object."""
    number, _, key, _ = columns
    after, query = 0, select(*columns).where(key.is_not(None)).order_by(number).limit(BATCH)
    while rows := read(query.where(number > after)):
        yield rows
        after = rows[-1][0]


def _is_listed(seen: sqlite3.Connection, _: int, storage: str, key: str, size: int) -> bool:
    """Return whether the object was listed with this size, and mark it as named."""
    found = seen.execute("SELECT size FROM seen WHERE storage = ? AND key = ?", (storage, key)).fetchone()
    seen.execute(NAMED, (storage, key))
    return bool(found) and found[0] == size


def _check_again(storages: Storages, files: Sequence[Any], columns: Sequence[Any] = DOCUMENT) -> list[Finding]:
    """Look for the objects of rows that do not fit the listing; return what is wrong.

    files    rows of `_documents` or `_others`; one that has changed in the meantime is checked again as it is then
    columns  what they are rows of
    """
    found, left = list[Finding](), {file.id: file for file in files}
    while wrong := {row.id: kind for row in left.values() if (kind := _problem(storages, row))}:
        now_there = {row.id: row for row in read(select(*columns).where(columns[0].in_(wrong)))}
        for file_id, kind in wrong.items():
            if now_there.get(file_id) == left[file_id]:
                _, storage, key, _ = now_there.pop(file_id)
                found.append(Finding(kind, storage, key, file_id if columns is DOCUMENT else None))
        left = now_there
    return found


def _problem(storages: Storages, row: Any) -> str | None:
    """Return what is wrong with a document's object, as far as one sees without reading it."""
    _, storage, key, size = row
    try:
        return "wrong-size" if storages[storage].stat(key).size != size else None
    except BlobMissing:
        return "missing"
    except (StorageError, OSError):
        return "unreadable"


def _read_document(storages: Storages, file_id: int) -> tuple[Finding | None, int]:
    """Read a document; return the finding, if any, and the number of bytes read.

    Starts over if the row has changed during the check.
    """
    columns = (EntityFile.storage, EntityFile.file_path, EntityFile.file_size, EntityFile.sha256)
    query = select(*columns).where(EntityFile.id == file_id)
    while row := read(query):
        [(storage, key, size, sha256)] = row
        kind, done = None, 0
        try:
            found, done = digest(storages[storage].open(key))
            kind = "wrong-size" if done != size else "altered" if found != sha256 else None
        except BlobMissing:
            kind = "missing"
        except (StorageError, OSError):
            kind = "unreadable"
        if kind is None or read(query) == row:
            return Finding(kind, storage, key, file_id) if kind else None, done
    return None, 0


def _is_unknown(storages: Storages, storage: str, key: str) -> bool:
    """Return whether the object exists and no row names it, either before or after the object is found."""
    if _is_named(key):
        return False
    try:
        storages[storage].stat(key)
    except BlobMissing:
        return False
    return not _is_named(key)


def _is_named(key: str) -> bool:
    """Return whether a row names the key.

    All tables are checked in one statement, because a key can move from one to another.
    """
    others = (kind.columns[2] for kind in ROW_OBJECTS)
    places = (EntityFile.file_path, Rendition.key, StorageJournal.key, *others)
    [(named,)] = read(select(or_(*(exists().where(place == key) for place in places))))
    return bool(named)


def _wrong_texts() -> Sequence[str]:
    """Return hashes whose texts do not fit together, also on a second look: a job may just have been reading them."""
    first = texts.disagreements()
    return [sha256 for sha256 in texts.disagreements() if sha256 in first] if first else []


def _read_again(storages: Storages) -> VerifyResult:
    """Reread documents that earlier checks found damaged or unreadable."""
    result, after = VerifyResult(), 0
    query = select(FixityFinding.file_id).where(FixityFinding.kind.in_(FOUND_BY_READING)).distinct()
    query = query.order_by(FixityFinding.file_id).limit(READ_AT_ONCE)
    while rows := read(query.where(FixityFinding.file_id > after)):
        _read_all(storages, [file_id for (file_id,) in rows], result)
        after = rows[-1][0]
    return result


def _read_all(
    storages: Storages, ids: Sequence[int], result: VerifyResult, report: Report = lambda count: None
) -> None:
    """Read these documents. The new findings replace all earlier ones about them."""
    found = []
    for file_id in ids:
        finding, size = _read_document(storages, file_id)
        found += [finding] if finding else []
        result.read += 1
        result.bytes += size
        report(result.read)
    with transaction() as session:
        values = {"last_checked_at": now(), "updated_at": EntityFile.updated_at}
        session.execute(update(EntityFile).where(EntityFile.id.in_(ids)).values(values))
        known = {(one.storage, one.key, one.kind) for one in found}
        for row in session.scalars(select(FixityFinding).where(FixityFinding.file_id.in_(ids))):
            if (row.storage, row.key, row.kind) not in known:
                session.delete(row)
        _store_finding(found)
    result.findings += found


def _not_checked_since(before: datetime) -> Any:
    return or_(EntityFile.last_checked_at.is_(None), not_(is_since(EntityFile.last_checked_at, before)))


def _store_findings(found: Sequence[Finding], began: datetime) -> None:
    """Store findings in small transactions, since a failed disk causes one per document.

    Earlier findings that no longer apply are deleted.
    """
    for at in range(0, len(found), BATCH):
        with transaction():
            _store_finding(found[at : at + BATCH])
    with transaction() as session:
        over = (FixityFinding.kind.not_in(FOUND_BY_READING), not_(is_since(FixityFinding.last_seen, began)))
        session.execute(delete(FixityFinding).where(*over))
        gone = FixityFinding.file_id.is_not(None) & FixityFinding.file_id.not_in(select(EntityFile.id))
        session.execute(delete(FixityFinding).where(gone))


def _store_finding(found: Sequence[Finding]) -> None:
    """Store these findings in the open transaction; those known before are only seen again."""
    row = (FixityFinding.storage, FixityFinding.key, FixityFinding.kind, FixityFinding.id)
    same = select(*row).where(FixityFinding.key.in_([one.key for one in found]))
    known = {(storage, key, kind): number for storage, key, kind, number in db.session.execute(same)}
    seen = [known[place] for one in found if (place := (one.storage, one.key, one.kind)) in known]
    new = [asdict(one) for one in found if (one.storage, one.key, one.kind) not in known]
    if seen:
        db.session.execute(update(FixityFinding).where(FixityFinding.id.in_(seen)).values(last_seen=now()))
    if new:
        db.session.execute(insert(FixityFinding), new)


def _record_run(name: str, result: VerifyResult) -> None:
    counts = {kind: sum(one.kind == kind for one in result.findings) for kind in KINDS}
    last_runs.record(name, objects=result.objects, documents=result.documents, read=result.read, findings=counts)
