"""Bulk operations on a record's documents. Each is authorized once. An error in one document does not affect others."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import partial
from typing import Any

from sqlalchemy import select

from medfiles.antivirus.policy import require_readable
from medfiles.audit import event_log
from medfiles.audit.event_log import AuditTarget, subject_of
from medfiles.content import DocumentContent, opened
from medfiles.database.session import db, transaction
from medfiles.database.sqlite import ASYNCHRONOUS
from medfiles.documents import lifecycle, take_back
from medfiles.documents.rules import checked_details, require_live, require_live_record, require_room, require_trashed
from medfiles.documents.service import FIRST_TO_TRASH, DocumentService
from medfiles.documents.uploading import count_live
from medfiles.documents.zip_archive import Member
from medfiles.errors import BlobMissing, Conflict, Forbidden, IntegrityFailed, MedfilesError, NotFound, Rejected
from medfiles.i18n import N_, gettext
from medfiles.models import EntityFile
from medfiles.permissions import Action
from medfiles.record_types.declared import RecordType
from medfiles.search import index
from medfiles.storage import journal

CHUNK = 100  # documents per transaction
TRASHED = N_("This document is in the trash. Restore it first.")
GONE = N_("A document that no longer exists")

Check = Callable[[EntityFile], None]


@dataclass(frozen=True)
class Result:
    """The outcome for one document. `error` says why nothing was done; `file_name` is None for a missing document."""

    file_id: int
    file_name: str | None
    error: MedfilesError | None = None


@dataclass(frozen=True)
class Bundle:
    """Documents to read as one archive named `title`, and the names of documents that cannot be read."""

    title: str
    members: Sequence[Member]
    missing: Sequence[str]


@dataclass(frozen=True)
class Task:
    """A bulk operation on a record's documents.

    new_check  returns a check that raises if a document cannot be changed; called once per chunk
    change     changes all documents that passed the check, or none of them
    """

    action: str
    record_type: RecordType
    record_id: int
    new_check: Callable[[], Check]
    change: Callable[[Sequence[EntityFile]], None]

    def owns(self, target: EntityFile | AuditTarget) -> bool:
        return (target.entity_type, target.entity_id) == (self.record_type.name, self.record_id)

    def check(self, file_id: int, file: EntityFile | None, check: Check) -> Result:
        if file is None or not self.owns(file):
            return Result(file_id, None, NotFound())
        try:
            check(file)
        except NotFound as error:
            return Result(file_id, None, error)
        except (Conflict, BlobMissing, IntegrityFailed) as error:
            return Result(file_id, file.file_name, error)
        return Result(file_id, file.file_name)


@dataclass
class BulkService(DocumentService):
    """Bulk operations on documents. Each returns one result per distinct id, in the order given."""

    def trash_many(self, record_type: RecordType, record_id: int, ids: Sequence[int]) -> Sequence[Result]:
        with self.operation("delete", entity_type=record_type.name, entity_id=record_id) as target:
            self.authorized_record(record_type, record_id, Action.EDIT, target)
            record_type.allow("delete")
            return self._run(Task("delete", record_type, record_id, lambda: require_live, self._trash), ids)

    def restore_many(self, record_type: RecordType, record_id: int, ids: Sequence[int]) -> Sequence[Result]:
        """Restore as many documents as the record has room for, in the order given."""

        def new_check() -> Check:
            count = count_live(self.registry, record_type, record_id)

            def check(file: EntityFile) -> None:
                nonlocal count
                require_trashed(file)
                require_room(record_type, count)
                count += 1

            return check

        with self.operation("restore", entity_type=record_type.name, entity_id=record_id) as target:
            require_live_record(record_type, self.authorized_record(record_type, record_id, Action.EDIT, target))
            change = partial(self._restore, record_type, record_id)
            return self._run(Task("restore", record_type, record_id, new_check, change), ids)

    def purge_many(self, record_type: RecordType, record_id: int, ids: Sequence[int]) -> Sequence[Result]:
        """Permanently delete documents that are in the trash."""
        held = take_back.held_among(ids)

        def check(file: EntityFile) -> None:
            require_trashed(file, FIRST_TO_TRASH)
            if file.id in held:
                raise Conflict(take_back.HELD)

        def change(files: Sequence[EntityFile]) -> None:
            with transaction():
                locked = _locked(files, check)
                take_back.require_not_held([file.id for file in locked])
                self._require_still_editor(locked)
                keys = lifecycle.purge(self.registry, self.actor, locked)
            journal.remove(self.storages, keys)

        with self.operation("purge", entity_type=record_type.name, entity_id=record_id) as target:
            self.authorized_record(record_type, record_id, Action.EDIT, target)
            return self._run(Task("purge", record_type, record_id, lambda: check, change), ids)

    def categorise(
        self, record_type: RecordType, record_id: int, ids: Sequence[int], category: str | None
    ) -> Sequence[Result]:
        """Set the category; None or "" clears it."""
        return self._set(record_type, record_id, ids, "category", category)

    def date_many(
        self, record_type: RecordType, record_id: int, ids: Sequence[int], document_date: Any
    ) -> Sequence[Result]:
        """Set the document date, in ISO format; None or "" clears it."""
        return self._set(record_type, record_id, ids, "document_date", document_date)

    def _set(
        self, record_type: RecordType, record_id: int, ids: Sequence[int], name: str, value: Any
    ) -> Sequence[Result]:
        """Set one detail of many documents to the same value."""
        check = partial(require_live, otherwise=TRASHED)

        def change(files: Sequence[EntityFile]) -> None:
            with transaction():
                done, locked = [], _locked(files, check)
                self._require_still_editor(locked)
                for file in locked:
                    before = getattr(file, name)
                    changes = {name: (before, new)} if before != new else {}
                    done.append((replace(subject_of(file), changes=changes), {"changed": sorted(changes)}))
                    setattr(file, name, new)
                index.put_documents(self.registry, locked, record)
                event_log.record_each(self.actor, "edit", done)

        with self.operation("edit", entity_type=record_type.name, entity_id=record_id) as target:
            record = self.authorized_record(record_type, record_id, Action.EDIT, target)
            new = checked_details(record_type, {name: value})[name]
            return self._run(Task("edit", record_type, record_id, lambda: check, change), ids)

    def open_many(self, record_type: RecordType, record_id: int, ids: Sequence[int]) -> Bundle:
        """Return documents to read as one archive. Raises NotFound if the actor can see none of them.

        Audit events are written before the first byte is read.
        """
        readable: dict[int, DocumentContent] = {}

        def check(file: EntityFile) -> None:
            if file.deleted_at is not None and level == Action.VIEW:
                raise NotFound()
            require_readable(file, self.actor)
            content = opened(file, self.storages)
            content.size()
            readable[file.id] = content

        def log_reads(files: Sequence[EntityFile]) -> None:
            with transaction(ASYNCHRONOUS):
                event_log.record_reads(self.actor, "download", files)

        with self.operation("download", entity_type=record_type.name, entity_id=record_id) as target:
            record = self.authorized_record(record_type, record_id, Action.VIEW, target)
            title, level = record_type.title_of(record), self.authorize(Action.VIEW, record.patient_id, target)
            record_type.allow("download")
            results = self._run(Task("download", record_type, record_id, lambda: check, log_reads), ids)
            if all(isinstance(result.error, NotFound) for result in results):
                raise NotFound()
        members = []
        for content in (readable[result.file_id] for result in results if result.error is None):
            file = content.file
            members.append(Member(file.file_name, file.file_size, file.uploaded_at, content.read))
        return Bundle(title, members, [result.file_name or gettext(GONE) for result in results if result.error])

    def across(
        self, ids: Sequence[int], operation: Callable[[RecordType, int, Sequence[int]], Sequence[Result]]
    ) -> Sequence[Result]:
        """Run a bulk operation on documents from any records, once per record."""
        found = _found(ids)
        by_record: dict[tuple[str, int], list[int]] = {}
        for file_id in ids:
            if file := found.get(file_id):
                by_record.setdefault((file.entity_type, file.entity_id), []).append(file_id)
        results = {file_id: Result(file_id, None, NotFound()) for file_id in ids}
        for (name, record_id), some in by_record.items():
            try:
                done = operation(self.registry[name], record_id, some)
            except (NotFound, Forbidden, Conflict, Rejected) as error:
                done = [Result(file_id, None, error) for file_id in some]
            results |= {result.file_id: result for result in done}
        return list(results.values())

    def open_across(self, ids: Sequence[int]) -> Bundle:
        """Return documents from any records to read as one archive.

        Raises the first document's error, usually NotFound, if no document can be opened.
        """
        bundles: list[Bundle] = []

        def collect(record_type: RecordType, record_id: int, some: Sequence[int]) -> Sequence[Result]:
            bundles.append(self.open_many(record_type, record_id, some))
            return [Result(file_id, None) for file_id in some]

        refused = [result for result in self.across(ids, collect) if result.error]
        if not bundles:
            raise refused[0].error or NotFound()
        title = bundles[0].title if len(bundles) == 1 else gettext("Documents")
        members = [member for bundle in bundles for member in bundle.members]
        missing = [name for bundle in bundles for name in bundle.missing] + [gettext(GONE) for _ in refused]
        return Bundle(title, members, missing)

    def _run(self, task: Task, ids: Sequence[int]) -> Sequence[Result]:
        unique = list(dict.fromkeys(ids))
        starts = range(0, len(unique), CHUNK)
        return [result for at in starts for result in self._run_chunk(task, unique[at : at + CHUNK])]

    def _run_chunk(self, task: Task, ids: Sequence[int]) -> Sequence[Result]:
        """Change all documents at once. If another request changed one, halve the chunk until only that one fails."""
        found, check = _found(ids), task.new_check()
        results = [task.check(file_id, found.get(file_id), check) for file_id in ids]
        try:
            if files := [found[result.file_id] for result in results if result.error is None]:
                task.change(files)
        except (Conflict, BlobMissing) as error:
            if half := len(ids) // 2:
                return [*self._run_chunk(task, ids[:half]), *self._run_chunk(task, ids[half:])]
            results = [replace(results[0], error=error)]
        self._log_refusals(task, results, found)
        return results

    def _log_refusals(self, task: Task, results: Sequence[Result], found: Mapping[int, EntityFile]) -> None:
        """Record each refusal, but only one per patient for documents in other records.

        Otherwise a long list of ids could flood a patient's log.
        """
        own, others = [], {}
        for result in results:
            if result.error is None:
                continue
            file = found.get(result.file_id)
            target = subject_of(file) if file else AuditTarget(file_id=result.file_id)
            if task.owns(target):
                own.append((target, result.error))
            else:
                others[target.patient_id] = (target, result.error)
        if own or others:
            self.record_refusals(task.action, [*own, *others.values()])


def _found(ids: Sequence[int]) -> Mapping[int, EntityFile]:
    """Load the current rows and detach them, so that later commits do not expire them."""
    query = select(EntityFile).where(EntityFile.id.in_(ids)).execution_options(populate_existing=True)
    files = db.session.scalars(query).all()
    for file in files:
        db.session.expunge(file)
    return {file.id: file for file in files}


def _locked(files: Sequence[EntityFile], check: Check) -> Sequence[EntityFile]:
    """Lock the rows in the open transaction and check them again. Raises Conflict if a row no longer exists."""
    ids = sorted(file.id for file in files)
    query = select(EntityFile).where(EntityFile.id.in_(ids)).order_by(EntityFile.id)
    locked = db.session.scalars(query.with_for_update().execution_options(populate_existing=True)).all()
    if [file.id for file in locked] != ids:
        raise Conflict(lifecycle.CHANGED)
    for file in locked:
        check(file)
    return locked
