"""Looks at every older file and the document it became, as if nothing was known of how it got there."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import islice

from sqlalchemy import func, or_, select

from medfiles import permissions
from medfiles.clock import now
from medfiles.content import DocumentContent, opened
from medfiles.database.session import db
from medfiles.documents import legacy_ids, unmigrated
from medfiles.errors import MedfilesError
from medfiles.legacy import log
from medfiles.legacy.inventory import Inventory
from medfiles.legacy.source import OlderFile, Source
from medfiles.models import EntityFile, LegacySource, Patient, PatientShare, User
from medfiles.permissions import Actor
from medfiles.services import Services
from medfiles.storage import digest

BATCH = 100


@dataclass
class Count:
    """Of one user's or patient's older files: how many there are, were moved, stay, and were deleted for ever."""

    files: int = 0
    moved: int = 0
    stay: int = 0
    deleted: int = 0


@dataclass
class Verdict:
    """`problems` are sentences; isolation is whether nobody reaches a document of somebody else's patient."""

    total: Count = field(default_factory=Count)
    users: dict[int | None, Count] = field(default_factory=dict)
    patients: dict[int | None, Count] = field(default_factory=dict)
    problems: list[str] = field(default_factory=list)
    leaks: list[str] = field(default_factory=list)

    @property
    def passed(self) -> bool:
        return not self.problems and not self.leaks

    def counts_of(self, file: OlderFile) -> Sequence[Count]:
        user = self.users.setdefault(file.user, Count())
        return self.total, user, self.patients.setdefault(file.patient, Count())


@dataclass(frozen=True)
class People:
    """Who owns the patients here, and what older numbers are here."""

    owners: Mapping[int, int]
    results: Mapping[int | None, int | None]
    patients: Mapping[int | None, int | None]
    users: Mapping[int | None, int | None]


@dataclass
class Verifier:
    services: Services
    source: Source
    known: LegacySource
    found: Inventory
    verdict: Verdict = field(default_factory=Verdict)

    def verify(self, report: Callable[[int], None] = lambda done: None) -> Verdict:
        files, done = self.source.files(), 0
        while batch := list(islice(files, BATCH)):
            self._verify(batch)
            report(done := done + len(batch))
        self._count_here()
        self.verdict.leaks.extend(self._leaks())
        return self.verdict

    def _verify(self, batch: Sequence[OlderFile]) -> None:
        numbers = [file.id for file in batch]
        rows = db.session.scalars(select(EntityFile).where(EntityFile.legacy_id.in_(numbers))).all()
        documents, known = {row.legacy_id: row for row in rows}, log.ids(self.known, "file", numbers)
        people = self._people(batch, rows)
        db.session.expunge_all()
        db.session.rollback()
        staying = self.found.staying(numbers)
        for file in batch:
            if (document := documents.get(file.id)) is not None:
                self._count(file, "moved")
                self.verdict.problems += [f"File {file.id} {words}" for words in self._wrong(file, document, people)]
            elif file.id in known:
                self._count(file, "deleted")
            else:
                self._count(file, "stay")
                if file.id not in staying:
                    self.verdict.problems.append(f"File {file.id} was not moved.")

    def _count(self, file: OlderFile, what: str) -> None:
        for count in self.verdict.counts_of(file):
            count.files += 1
            setattr(count, what, getattr(count, what) + 1)

    def _people(self, batch: Sequence[OlderFile], rows: Sequence[EntityFile]) -> People:
        query = select(Patient.id, Patient.user_id).where(Patient.id.in_([row.patient_id for row in rows]))
        return People(
            dict(db.session.execute(query).all()),
            log.new_ids(self.known, "lab-result", [file.lab_result for file in batch]),
            log.new_ids(self.known, "patient", [file.patient for file in batch]),
            log.new_ids(self.known, "user", [file.user for file in batch]),
        )

    def _wrong(self, file: OlderFile, document: EntityFile, people: People) -> Iterator[str]:
        owner = people.owners.get(document.patient_id)
        here = (document.entity_type, document.entity_id, document.patient_id, owner)
        there = (
            unmigrated.KIND,
            people.results.get(file.lab_result),
            people.patients.get(file.patient),
            people.users.get(file.user),
        )
        if here != there:
            yield "belongs to another lab result, patient or user than before."
        if legacy_ids.moved_to(file.id) != document.id:
            yield "is not found by its old number."
        new = hashed(opened(document, self.services.storages))
        if new != document.sha256:
            yield "has different content than when it was moved." if new else "cannot be read at its new place."
        old = hashed(DocumentContent(waiting_file(file), self.source.folder))
        if old != document.sha256:
            yield "has different content at its old place." if old else "cannot be read at its old place."

    def _count_here(self) -> None:
        """The other way around: as many documents as were moved, for each patient and in all."""
        query = select(EntityFile.patient_id, func.count()).where(EntityFile.legacy_id.is_not(None))
        here = dict(db.session.execute(query.group_by(EntityFile.patient_id)).all())
        db.session.rollback()
        new = log.new_ids(self.known, "patient", self.verdict.patients)
        there: dict[int | None, int] = {}
        for patient, count in self.verdict.patients.items():
            there[new.get(patient)] = there.get(new.get(patient), 0) + count.moved
        for patient_id in sorted({*here, *(one for one in there if one is not None)}):
            if here.get(patient_id, 0) != there.get(patient_id, 0):
                counts = f"{here.get(patient_id, 0)} documents, but {there.get(patient_id, 0)} were moved"
                self.verdict.problems.append(f"Patient {patient_id} has {counts}.")

    def _leaks(self) -> Iterator[str]:
        """Asked as the product asks when somebody looks: whoever sees a moved document owns its patient, or was given
        access to it."""
        for user_id, email in db.session.execute(select(User.id, User.email).order_by(User.id)).all():
            lasts = or_(PatientShare.expires_at.is_(None), PatientShare.expires_at > now())
            given = select(PatientShare.patient_id).where(PatientShare.user_id == user_id, lasts)
            owned = select(Patient.id).where(Patient.user_id == user_id)
            query = select(func.count(EntityFile.id)).where(
                EntityFile.legacy_id.is_not(None),
                EntityFile.patient_id.in_(permissions.patients_for(Actor(user_id, email))),
                EntityFile.patient_id.not_in(owned),
                EntityFile.patient_id.not_in(given),
            )
            if count := db.session.scalar(query):
                yield f"User {user_id} has access to {count} documents of other users’ patients."
        db.session.rollback()


def waiting_file(file: OlderFile) -> EntityFile:
    """Enough of a row to read the older file by."""
    return EntityFile(id=file.id, file_path=file.path)


def hashed(document: DocumentContent) -> str | None:
    """SHA-256 of what lies there; None when it cannot be read."""
    try:
        return digest(document.read())[0]
    except (MedfilesError, OSError):
        return None
