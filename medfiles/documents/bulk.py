"""Verbs on many documents of one record: it is admitted once, and one document's trouble is no other's."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import partial

from sqlalchemy import select

from medfiles.antivirus.policy import require_readable
from medfiles.audit import event_log
from medfiles.audit.event_log import AuditTarget, subject_of
from medfiles.content import DocumentContent, opened
from medfiles.database.session import db, transaction
from medfiles.database.sqlite import ASYNCHRONOUS
from medfiles.documents import relocation
from medfiles.documents.rules import checked_details, must_be_alive, must_have_room
from medfiles.documents.service import FIRST_TO_TRASH, DocumentService, must_be_live, must_be_trashed
from medfiles.documents.uploading import live_count
from medfiles.documents.zip_archive import Member
from medfiles.errors import (
    BlobMissing,
    Conflict,
    Forbidden,
    IntegrityFailed,
    MedfilesError,
    NotFound,
    Rejected,
)
from medfiles.models import EntityFile
from medfiles.permissions import Action
from medfiles.record_types.declared import RecordType, Registry
from medfiles.storage import journal

CHUNK = 100  # documents in one transaction
TRASHED = "This document is in the trash. Restore it first."
GONE = "A document that no longer exists"

Refused = tuple[AuditTarget, MedfilesError]
Check = Callable[[EntityFile], None]


@dataclass(frozen=True)
class Result:
    """How it went with one document: `error` says why nothing was done. Of what is not there no name is told."""

    file_id: int
    file_name: str | None
    error: MedfilesError | None = None


@dataclass(frozen=True)
class Bundle:
    """Documents of the record `title` to be read as one archive, and the names of those that cannot be read."""

    title: str
    members: Sequence[Member]
    missing: Sequence[str]


@dataclass(frozen=True)
class Task:
    """What to do with documents of a record: `new_check` makes the check that each of a chunk has to pass, in order;
    `change` does it to those that passed, to all of them or none."""

    action: str
    record_type: RecordType
    record_id: int
    new_check: Callable[[], Check]
    change: Callable[[Sequence[EntityFile]], None]

    def is_about(self, target: AuditTarget) -> bool:
        return (target.entity_type, target.entity_id) == (self.record_type.name, self.record_id)

    def judged(self, file_id: int, file: EntityFile | None, check: Check) -> Result:
        if file is None or (file.entity_type, file.entity_id) != (self.record_type.name, self.record_id):
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
    """Each verb gives a result for every id, in their order, an id that is named twice once."""

    def trash_many(self, record_type: RecordType, record_id: int, ids: Sequence[int]) -> Sequence[Result]:
        with self.operation("delete", entity_type=record_type.name, entity_id=record_id) as target:
            self.authorized_record(record_type, record_id, Action.EDIT, target)
            record_type.allow("delete")
            task = Task("delete", record_type, record_id, lambda: must_be_live, self._to_trash)
            return self._each(task, ids)

    def restore_many(self, record_type: RecordType, record_id: int, ids: Sequence[int]) -> Sequence[Result]:
        """As many as the record has room for, in the order given."""
        with self.operation("restore", entity_type=record_type.name, entity_id=record_id) as target:
            must_be_alive(record_type, self.authorized_record(record_type, record_id, Action.EDIT, target))
            check = partial(_while_there_is_room, self.registry, record_type, record_id)
            task = Task("restore", record_type, record_id, check, partial(self._to_life, record_type, record_id))
            return self._each(task, ids)

    def purge_many(self, record_type: RecordType, record_id: int, ids: Sequence[int]) -> Sequence[Result]:
        """Delete permanently; only from the trash."""
        check = partial(must_be_trashed, otherwise=FIRST_TO_TRASH)

        def change(files: Sequence[EntityFile]) -> None:
            with transaction():
                keys = self._erase(_locked(files, check))
            journal.remove(self.storages, keys)

        with self.operation("purge", entity_type=record_type.name, entity_id=record_id) as target:
            self.authorized_record(record_type, record_id, Action.EDIT, target)
            return self._each(Task("purge", record_type, record_id, lambda: check, change), ids)

    def categorise(
        self, record_type: RecordType, record_id: int, ids: Sequence[int], category: str | None
    ) -> Sequence[Result]:
        """Give them this category; None or "" clears it."""
        check = partial(must_be_live, otherwise=TRASHED)

        def change(files: Sequence[EntityFile]) -> None:
            with transaction():
                done = []
                for file in _locked(files, check):
                    done.append((subject_of(file), {"changed": ["category"] if file.category != wanted else []}))
                    file.category = wanted
                event_log.record_each(self.actor, "edit", done)

        with self.operation("edit", entity_type=record_type.name, entity_id=record_id) as target:
            self.authorized_record(record_type, record_id, Action.EDIT, target)
            wanted = checked_details(record_type, None, category)["category"]
            return self._each(Task("edit", record_type, record_id, lambda: check, change), ids)

    def open_many(self, record_type: RecordType, record_id: int, ids: Sequence[int]) -> Bundle:
        """Documents to read; the trail remembers each before the first byte goes out."""
        readable: dict[int, DocumentContent] = {}

        def check(file: EntityFile) -> None:
            if file.deleted_at is not None and level == Action.VIEW:
                raise NotFound()
            require_readable(file, self.actor)
            document = opened(file, self.storages)
            document.size()
            readable[file.id] = document

        with self.operation("download", entity_type=record_type.name, entity_id=record_id) as target:
            record = self.authorized_record(record_type, record_id, Action.VIEW, target)
            title, level = record_type.title_of(record), self.authorize(Action.VIEW, record.patient_id, target)
            record_type.allow("download")
            task = Task("download", record_type, record_id, lambda: check, self._remember_reading)
            results = self._each(task, ids)
            if all(isinstance(result.error, NotFound) for result in results):
                raise NotFound()
        members = [_member(readable[result.file_id]) for result in results if result.error is None]
        return Bundle(title, members, [result.file_name or GONE for result in results if result.error])

    def across(
        self, ids: Sequence[int], operation: Callable[[RecordType, int, Sequence[int]], Sequence[Result]]
    ) -> Sequence[Result]:
        """Run a bulk operation on documents of any records, once for each of these records."""
        results = {file_id: Result(file_id, None, NotFound()) for file_id in ids}
        for (kind, record_id), some in self._by_record(ids).items():
            try:
                found = operation(self.registry[kind], record_id, some)
            except (NotFound, Forbidden, Conflict, Rejected) as error:
                found = [Result(file_id, None, error) for file_id in some]
            results |= {result.file_id: result for result in found}
        return list(results.values())

    def open_across(self, ids: Sequence[int]) -> Bundle:
        """Documents of any records to read as one archive; NotFound when none of them can be."""
        bundles: list[Bundle] = []

        def collect(record_type: RecordType, record_id: int, some: Sequence[int]) -> Sequence[Result]:
            bundles.append(self.open_many(record_type, record_id, some))
            return [Result(file_id, None) for file_id in some]

        refused = [result for result in self.across(ids, collect) if result.error]
        if not bundles:
            raise refused[0].error or NotFound()
        title = bundles[0].title if len(bundles) == 1 else "Documents"
        members = [member for bundle in bundles for member in bundle.members]
        missing = [name for bundle in bundles for name in bundle.missing] + [GONE for _ in refused]
        return Bundle(title, members, missing)

    def _by_record(self, ids: Sequence[int]) -> Mapping[tuple[str, int], Sequence[int]]:
        """Which of these documents belong to which record; whether the actor may know is for the verbs to say."""
        belong: dict[tuple[str, int], list[int]] = {}
        found = _found(ids)
        for file_id in ids:
            if file_id in found:
                belong.setdefault((found[file_id].entity_type, found[file_id].entity_id), []).append(file_id)
        return belong

    def _each(self, task: Task, ids: Sequence[int]) -> Sequence[Result]:
        unique = list(dict.fromkeys(ids))
        chunks = [unique[at : at + CHUNK] for at in range(0, len(unique), CHUNK)]
        return [result for chunk in chunks for result in self._some(task, chunk)]

    def _some(self, task: Task, ids: Sequence[int]) -> Sequence[Result]:
        """All at once; when somebody else changed one of them meanwhile, by halves until only that one fails."""
        found, check = _found(ids), task.new_check()
        results = [task.judged(file_id, found.get(file_id), check) for file_id in ids]
        try:
            if files := [found[result.file_id] for result in results if result.error is None]:
                task.change(files)
        except (Conflict, BlobMissing) as error:
            if half := len(ids) // 2:
                return [*self._some(task, ids[:half]), *self._some(task, ids[half:])]
            results = [replace(results[0], error=error)]
        self._remember_refusals(task, results, found)
        return results

    def _remember_reading(self, files: Sequence[EntityFile]) -> None:
        with transaction(ASYNCHRONOUS):
            event_log.record_reads(self.actor, "download", files)

    def _remember_refusals(self, task: Task, results: Sequence[Result], found: Mapping[int, EntityFile]) -> None:
        refused = [
            (
                subject_of(found[result.file_id]) if result.file_id in found else AuditTarget(file_id=result.file_id),
                result.error,
            )
            for result in results
            if result.error
        ]
        if refused:
            self.record_refusals(task.action, _one_of_each_patient(refused, task))


def _one_of_each_patient(refused: Sequence[Refused], task: Task) -> Sequence[Refused]:
    """Of documents that are none of this record's, one for each patient: no trail is flooded by a list of numbers."""
    own = [(subject, error) for subject, error in refused if task.is_about(subject)]
    others = {subject.patient_id: (subject, error) for subject, error in refused if not task.is_about(subject)}
    return [*own, *others.values()]


def _found(ids: Sequence[int]) -> Mapping[int, EntityFile]:
    """The rows as they are now, out of the session: what is done to others of them expires none."""
    query = select(EntityFile).where(EntityFile.id.in_(ids)).execution_options(populate_existing=True)
    files = db.session.scalars(query).all()
    for file in files:
        db.session.expunge(file)
    return {file.id: file for file in files}


def _locked(files: Sequence[EntityFile], check: Check) -> Sequence[EntityFile]:
    """In the open transaction: the rows, which nobody else changes now, checked again."""
    ids = sorted(file.id for file in files)
    query = select(EntityFile).where(EntityFile.id.in_(ids)).order_by(EntityFile.id)
    locked = db.session.scalars(query.with_for_update().execution_options(populate_existing=True)).all()
    if [file.id for file in locked] != ids:
        raise Conflict(relocation.CHANGED)
    for file in locked:
        check(file)
    return locked


def _while_there_is_room(registry: Registry, record_type: RecordType, record_id: int) -> Check:
    count = live_count(registry, record_type, record_id)

    def check(file: EntityFile) -> None:
        nonlocal count
        must_be_trashed(file)
        must_have_room(record_type, count)
        count += 1

    return check


def _member(document: DocumentContent) -> Member:
    file = document.file
    return Member(file.file_name, file.file_size, file.uploaded_at, document.read)
