"""Verify an import: compare every file with its document, and who has access there with who has access here."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from sqlalchemy import func, or_, select

from medfiles import permissions
from medfiles.clock import now
from medfiles.content import DocumentContent, opened
from medfiles.database.session import db
from medfiles.legacy import log
from medfiles.legacy.medikeep import mapping, merged, schema
from medfiles.legacy.medikeep.bringing import DELETED, PATIENT, SHARE, USER, Progress, Source, is_active, owner_of
from medfiles.legacy.medikeep.files import KINDS
from medfiles.legacy.verification import hash_of
from medfiles.models import EntityFile, Patient, PatientShare
from medfiles.permissions import Actor
from medfiles.services import Services

BATCH = 100


@dataclass
class Verdict:
    """The result of a verification. `leaks` and `losses`: accounts that see more, or less, than in the source."""

    documents: int = 0
    deleted: int = 0
    pairs: int = 0
    problems: list[str] = field(default_factory=list)
    leaks: list[str] = field(default_factory=list)
    losses: list[str] = field(default_factory=list)

    @property
    def passed(self) -> bool:
        return not (self.problems or self.leaks or self.losses)


@dataclass
class Verifier:
    services: Services
    source: Source
    verdict: Verdict = field(default_factory=Verdict)

    def verify(self, report: Progress = lambda done: None) -> Verdict:
        done, after = 0, 0
        query = """SELECT number, source, id, record_table, record, patient, name FROM files
                   WHERE number > ? AND same_as IS NULL AND (stays IS NULL OR stays = 'earlier')
                   ORDER BY number LIMIT ?"""
        while rows := self.source.ledger.ask(query, after, BATCH):
            self._verify(rows)
            after = rows[-1][0]
            report(done := done + len(rows))
        self._account()
        self._compare_access()
        return self.verdict

    def _verify(self, rows: Sequence[tuple[int, str, int, str, int, int, str]]) -> None:
        new: dict[tuple[str, int], int | None] = {}
        for table in {row[1] for row in rows}:
            found = log.ids(self.source.known, KINDS[table], [row[2] for row in rows if row[1] == table])
            new |= {(table, old): number for old, number in found.items()}
        query = select(EntityFile).where(EntityFile.id.in_([number for number in new.values() if number]))
        documents = {file.id: file for file in db.session.scalars(query)}
        db.session.expunge_all()
        db.session.rollback()
        for _, table, old, record_table, record, patient, path in rows:
            what = f"{table} {old}"
            if (table, old) not in new:
                self.verdict.problems.append(f"{what} was not moved.")
                continue
            document = documents.get(new[table, old] or 0)
            if document is None:
                self.verdict.deleted += 1
                continue
            self.verdict.documents += 1
            self.verdict.problems += [
                f"{what} {words}" for words in self._wrong(document, record_table, record, patient, path)
            ]

    def _wrong(self, document: EntityFile, table: str, record: int, patient: int, path: str) -> Iterator[str]:
        ledger, kind = self.source.ledger, schema.RECORDS.get(table)
        patient_id = ledger.new(PATIENT, patient)
        there = (kind or PATIENT, ledger.new(kind, record) if kind else patient_id, patient_id)
        if (document.entity_type, document.entity_id, document.patient_id) != there:
            yield "is attached to a different record or patient than before."
        new = hash_of(opened(document, self.services.storages))
        if new != document.sha256:
            yield "has different content from when it was moved." if new else "cannot be read in its new location."
        old = hash_of(DocumentContent(EntityFile(id=document.id, file_path=path), self.source.medikeep.folder))
        if old != document.sha256:
            yield "has different content in its old location." if old else "cannot be read in its old location."

    def _account(self) -> None:
        """Check that each row of the tables that were read has exactly one outcome."""
        outcomes = self.source.ledger.outcomes()
        tables = (schema.USERS, schema.PATIENTS, schema.SHARES, *schema.RECORDS, schema.NEW_FILES, schema.OLD_FILES)
        for table in (*tables, *merged.TABLES):
            rows, accounted = self.source.medikeep.count(table), sum(outcomes.get(table, {}).values())
            if rows != accounted:
                self.verdict.problems.append(f"{table} has {rows} rows, but {accounted} are accounted for.")

    def _compare_access(self) -> None:
        """Compare the source's rules with this installation's, for every account and document."""
        users, patients = self.source.ledger.news(USER), self.source.ledger.news(PATIENT)
        theirs = self._access_there(users, patients)
        own_shares = self._shares_here(set(self.source.ledger.news(SHARE).values()))
        imported = set(patients.values())
        counts = self._documents_of(imported)
        for user_id in sorted(set(users.values())):
            here: set[Any] = set(db.session.scalars(permissions.patients_for(Actor(user_id, "")))) & imported
            there = theirs.get(user_id, set())
            self.verdict.pairs += sum(counts.get(patient_id, 0) for patient_id in there)
            for patient_id in sorted(here - there - own_shares.get(user_id, set())):
                self.verdict.leaks.append(f"Account {user_id} has access to patient {patient_id}, but had none.")
            for patient_id in sorted(there - here - self._trashed()):
                self.verdict.losses.append(f"Account {user_id} has no access to patient {patient_id}, but had some.")
        db.session.rollback()

    def _access_there(self, users: Mapping[int, int], patients: Mapping[int, int]) -> dict[int, set[int]]:
        medikeep, found = self.source.medikeep, dict[int, set[int]]()
        for row in medikeep.rows(schema.PATIENTS):
            owner = users.get(owner_of(row, medikeep) or 0)
            if owner is not None and row["id"] in patients:
                found.setdefault(owner, set()).add(patients[row["id"]])
        for row in medikeep.rows(schema.SHARES):
            reader, ends = users.get(row["shared_with_user_id"] or 0), mapping.in_utc(row.get("expires_at"))
            if (
                reader is not None
                and row["patient_id"] in patients
                and is_active(row)
                and self.source.ledger.outcome_of(schema.SHARES, row["id"]) != DELETED
                and (ends is None or ends > now())
            ):
                found.setdefault(reader, set()).add(patients[row["patient_id"]])
        return found

    def _shares_here(self, imported: set[int]) -> dict[int, set[int]]:
        """Return which patients each account was given here, not by the import."""
        lasts = or_(PatientShare.expires_at.is_(None), PatientShare.expires_at > now())
        query = select(PatientShare.id, PatientShare.user_id, PatientShare.patient_id).where(lasts)
        found: dict[int, set[int]] = {}
        for number, user_id, patient_id in db.session.execute(query):
            if number not in imported and user_id is not None:
                found.setdefault(user_id, set()).add(patient_id)
        return found

    def _trashed(self) -> set[int]:
        return set(db.session.scalars(select(Patient.id).where(Patient.deleted_at.is_not(None))))

    def _documents_of(self, patients: set[int]) -> Mapping[int, int]:
        query = select(EntityFile.patient_id, func.count()).group_by(EntityFile.patient_id)
        return {patient_id: number for patient_id, number in db.session.execute(query) if patient_id in patients}
