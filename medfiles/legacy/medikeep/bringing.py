"""Bring accounts, patients, shares and records along: match rows that are here already, create the others."""

from abc import abstractmethod
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass, field
from itertools import islice
from typing import Any

from sqlalchemy import ColumnElement, func, select
from sqlalchemy.exc import DataError, IntegrityError, StatementError

from medfiles.accounts import service as accounts
from medfiles.audit import event_log
from medfiles.audit.event_log import AuditTarget
from medfiles.clock import now
from medfiles.database.session import db, transaction
from medfiles.errors import MedfilesError
from medfiles.legacy import log
from medfiles.legacy.connection import text
from medfiles.legacy.medikeep import mapping, schema
from medfiles.legacy.medikeep.ledger import BROUGHT, EARLIER, LEFT_OUT, MATCHED, Ledger
from medfiles.legacy.medikeep.mapping import Mapped, Row
from medfiles.legacy.medikeep.schema import MediKeep
from medfiles.models import LegacyId, LegacySource, Patient, PatientShare, User
from medfiles.record_types.declared import RecordType, Registry
from medfiles.records import hues
from medfiles.search import index

BATCH = 100
USER, PATIENT, SHARE = "user", "patient", "share"
LEVELS = {"view": "view", "edit": "edit", "full": "edit"}
DELETED = f"{LEFT_OUT}: deleted here since an earlier run"
ENDED = ("inactive", "own")  # shares that give no access, so nothing is lost without them
EVERYTHING: frozenset[int] = frozenset()
Progress = Callable[[int], None]


class NotBrought(Exception):
    """Raised if a row cannot be brought along. `kind` and `words` give the reason."""

    def __init__(self, kind: str, words: str) -> None:
        super().__init__(words)
        self.kind, self.words = kind, words


@dataclass
class Source:
    """What all steps need: the two installations, the source's row here, and the ledger of this run.

    :param only: ids of the source's patients to import; empty for all
    :param dry_run: whether the open transaction is rolled back in the end
    """

    registry: Registry
    medikeep: MediKeep
    known: LegacySource
    ledger: Ledger
    only: Collection[int] = EVERYTHING
    dry_run: bool = False

    def batch(self) -> AbstractContextManager[Any]:
        return nullcontext() if self.dry_run else transaction()


@dataclass
class Step:
    """Brings the rows of one table along."""

    source: Source
    kind: str
    table: str

    @property
    @abstractmethod
    def model(self) -> Any:
        """The table's model here."""

    @abstractmethod
    def is_wanted(self, row: Row) -> bool:
        """Return whether the row belongs to the patients to import."""

    @abstractmethod
    def bring(self, row: Row) -> tuple[int, bool]:
        """Return the id of the row here, and whether it was created. Raises NotBrought."""

    def prepare(self, rows: Sequence[Row]) -> None:
        """Read what all these rows need."""

    def run(self, report: Progress = lambda done: None) -> None:
        rows, done = self.source.medikeep.rows(self.table), 0
        while batch := list(islice(rows, BATCH)):
            self.prepare(batch)
            with self.source.batch():
                known = log.ids(self.source.known, self.kind, [row["id"] for row in batch])
                here = self._existing_of([number for number in known.values() if number is not None])
                for row in batch:
                    self._bring(row, known, here)
            report(done := done + len(batch))

    def _bring(self, row: Row, known: Mapping[int, int | None], here: Collection[int]) -> None:
        ledger, number = self.source.ledger, row["id"]
        if (earlier := known.get(number)) is not None and earlier not in here:
            ledger.outcome(self.table, number, DELETED)
        elif earlier is not None:
            ledger.outcome(self.table, number, EARLIER)
            ledger.enter(self.kind, number, earlier)
            self._name_practitioner(row, EARLIER)
        elif not self.is_wanted(row):
            ledger.outcome(self.table, number, LEFT_OUT)
        else:
            try:
                with db.session.begin_nested():
                    new, made = self.bring(row)
                    log.replace(self.source.known, self.kind, number, new, brought=made)
                    db.session.flush()
                ledger.outcome(self.table, number, BROUGHT if made else MATCHED)
                ledger.enter(self.kind, number, new)
                if made:
                    self._name_practitioner(row, BROUGHT)
            except NotBrought as error:
                self._fails(number, error.kind, error.words)
                if error.kind in ENDED:
                    ledger.outcome(self.table, number, f"{LEFT_OUT}: {error.words}")
            except MedfilesError as error:
                self._fails(number, "refused", error.message)
            except (IntegrityError, DataError, StatementError):
                self._fails(number, "refused", "it cannot be stored here")

    def _name_practitioner(self, row: Row, outcome: str) -> None:
        if number := row.get("physician_id" if self.table == schema.PATIENTS else "practitioner_id"):
            self.source.ledger.name_practitioner(number, outcome)

    def _existing_of(self, ids: Collection[int]) -> set[int]:
        """Return which rows of earlier runs are still here."""
        return set(db.session.scalars(select(self.model.id).where(self.model.id.in_(ids)))) if ids else set()

    def _fails(self, number: int, kind: str, words: str) -> None:
        """Note the failure. An older number that leads nowhere must never answer for another record."""
        self.source.ledger.forget(self.table, number)
        self.source.ledger.fails(kind, self.table, number, words)
        log.replace(self.source.known, self.kind, number, None, brought=False)

    def note(self, row: Row, found: Mapped) -> None:
        for kind, words in found.findings:
            self.source.ledger.finding(kind, self.table, row["id"], words)

    def finding(self, row: Row, kind: str, words: str) -> None:
        self.source.ledger.finding(kind, self.table, row["id"], words)

    def new(self, kind: str, old: int | None, otherwise: NotBrought) -> int:
        new = self.source.ledger.new(kind, old)
        if new is None:
            raise otherwise
        return new

    def only(self, candidates: Sequence[int]) -> int | None:
        """Return the only candidate that no row of the source has become yet, or None if there is not exactly one."""
        free = set(candidates) - self.taken(candidates)
        return free.pop() if len(free) == 1 else None

    def taken(self, candidates: Sequence[int]) -> set[int]:
        same = (LegacyId.source_id == self.source.known.id, LegacyId.kind == self.kind)
        return set(db.session.scalars(select(LegacyId.new_id).where(*same, LegacyId.new_id.in_(candidates))))


@dataclass
class Accounts(Step):
    kind: str = USER
    table: str = schema.USERS
    wanted: set[int] = field(default_factory=set)  # those of the patients to import
    model = User

    def is_wanted(self, row: Row) -> bool:
        return not self.source.only or row["id"] in self.wanted

    def bring(self, row: Row) -> tuple[int, bool]:
        address, found = (text(row["email"]) or "").strip(), mapping.account(row)
        candidates = db.session.scalars(select(User.id).where(func.lower(User.email) == address.lower())).all()
        if (match := self.only(candidates)) is not None:
            self.finding(row, "matched", "an account with its address is here already, and keeps its password")
            return match, False
        self.note(row, found)
        if "@" not in address or len(address) > 255:
            address = f"medikeep-{row['id']}@unknown.example"
            self.finding(row, "address", f"it has no usable address, so it is {address}")
        elif candidates:
            address = self._marked(address, row["id"])
            words = f"another account has the same address in other letters, so this one is {address}"
            self.finding(row, "case-twin", words)
        return self._make(row, address, found.values), True

    def _make(self, row: Row, address: str, values: dict[str, Any]) -> int:
        username = values["username"]
        if username and (accounts.find_by_username(username) or "@" in username):
            self.finding(row, "username", "its user name cannot be used to sign in here, but its address can")
            values["username"] = None
        return accounts.bring_along(address, **values).id

    @staticmethod
    def _marked(address: str, number: int) -> str:
        local, _, host = address.rpartition("@")
        marked = f"{local}+medikeep-{number}@{host}"
        return marked if len(marked) <= 255 else f"medikeep-{number}@unknown.example"


@dataclass
class Patients(Step):
    kind: str = PATIENT
    table: str = schema.PATIENTS
    physicians: dict[int, Row] = field(default_factory=dict)
    allergies: dict[int, list[Row]] = field(default_factory=dict)
    model = Patient

    def is_wanted(self, row: Row) -> bool:
        return not self.source.only or row["id"] in self.source.only

    def prepare(self, rows: Sequence[Row]) -> None:
        medikeep = self.source.medikeep
        ids = {row["physician_id"] for row in rows if row.get("physician_id")}
        self.physicians = {row["id"]: row for row in medikeep.of(schema.PRACTITIONERS, "id", ids)}
        self.allergies = _grouped(medikeep.of("allergies", "patient_id", [row["id"] for row in rows]), "patient_id")

    def bring(self, row: Row) -> tuple[int, bool]:
        owner = owner_of(row, self.source.medikeep)
        if row.get("user_id") != owner:
            self.finding(row, "owner-differs", "owner_user_id and user_id name different accounts; the former counts")
        user_id = self.new(USER, owner, NotBrought("broken-chain", "its account was not brought along or is missing"))
        found = mapping.patient(
            row, self.physicians.get(row.get("physician_id") or 0), self.allergies.get(row["id"], [])
        )
        if (match := self.only(self._candidates(user_id, found.values))) is not None:
            self.finding(
                row, "matched", "a patient with this name and date of birth is here already; nothing was changed"
            )
            return match, False
        self.note(row, found)
        patient = Patient(user_id=user_id, hue=hues.least_used(Patient.user_id == user_id), **found.values)
        db.session.add(patient)
        db.session.flush()
        index.put_patient(patient)
        event_log.record(None, "create-patient", AuditTarget(patient.id, name=patient.full_name))
        return patient.id, True

    def _candidates(self, user_id: int, values: Mapping[str, Any]) -> Sequence[int]:
        same = (Patient.user_id == user_id, Patient.birth_date == values["birth_date"], Patient.deleted_at.is_(None))
        names = [_folded(values["first_name"]), _folded(values["last_name"])]
        found = db.session.execute(select(Patient.id, Patient.first_name, Patient.last_name).where(*same))
        return [number for number, *written in found if list(map(_folded, written)) == names]


@dataclass
class Shares(Step):
    kind: str = SHARE
    table: str = schema.SHARES
    model = PatientShare

    def is_wanted(self, row: Row) -> bool:
        return not self.source.only or row.get("patient_id") in self.source.only

    def bring(self, row: Row) -> tuple[int, bool]:
        gone = NotBrought("broken-chain", "its patient or account was not brought along or is missing")
        patient_id = self.new(PATIENT, row.get("patient_id"), gone)
        user_id = self.new(USER, row.get("shared_with_user_id"), gone)
        if not is_active(row):
            raise NotBrought("inactive", "it is inactive")
        level = LEVELS.get((text(row.get("permission_level")) or "").lower())
        if level is None:
            raise NotBrought("level", "its level is unknown")
        if db.session.get_one(Patient, patient_id).user_id == user_id:
            raise NotBrought("own", "it is a share with the patient’s owner")
        if match := self._existing(patient_id, user_id):
            return match, False
        address = db.session.get_one(User, user_id).email
        share = PatientShare(
            patient_id=patient_id, user_id=user_id, address=address, address_key=address.strip().lower(), level=level,
            accepted_at=now(), expires_at=mapping.in_utc(row.get("expires_at")),
        )  # fmt: skip
        db.session.add(share)
        db.session.flush()
        until = share.expires_at.isoformat() if share.expires_at else None
        event_log.record(None, "share", AuditTarget(patient_id, name=address), level=level, until=until)
        return share.id, True

    @staticmethod
    def _existing(patient_id: int, user_id: int) -> int | None:
        same = (PatientShare.patient_id == patient_id, PatientShare.user_id == user_id)
        found: int | None = db.session.scalar(select(PatientShare.id).where(*same))
        return found


@dataclass
class Records(Step):
    kind: str
    table: str
    practitioners: dict[int, Row] = field(default_factory=dict)
    components: dict[int, list[Row]] = field(default_factory=dict)

    @property
    def record_type(self) -> RecordType:
        return self.source.registry[self.kind]

    @property
    def model(self) -> Any:
        return self.record_type.model

    def is_wanted(self, row: Row) -> bool:
        return not self.source.only or row.get("patient_id") in self.source.only

    def prepare(self, rows: Sequence[Row]) -> None:
        medikeep = self.source.medikeep
        ids = {row["practitioner_id"] for row in rows if row.get("practitioner_id")}
        self.practitioners = {row["id"]: row for row in medikeep.of(schema.PRACTITIONERS, "id", ids)}
        results = [row["id"] for row in rows] if self.table == "lab_results" else []
        self.components = _grouped(medikeep.of(schema.COMPONENTS, "lab_result_id", results), "lab_result_id")

    def bring(self, row: Row) -> tuple[int, bool]:
        gone = NotBrought("broken-chain", "its patient was not brought along or is missing")
        patient_id, record_type = self.new(PATIENT, row.get("patient_id"), gone), self.record_type
        practitioner = self.practitioners.get(row.get("practitioner_id") or 0)
        found = mapping.record(record_type, row, practitioner, self.components.get(row["id"], []))
        if (match := self.only(self._candidates(patient_id, found.values))) is not None:
            return match, False
        self.note(row, found)
        record = record_type.model(patient_id=patient_id, **found.values)  # type: ignore[call-arg]
        db.session.add(record)
        db.session.flush()
        index.put_record(record_type, record)
        name = record_type.title_of(record)
        event_log.record(None, "create-record", AuditTarget(patient_id, record_type.name, record.id, name=name))
        return record.id, True

    def _candidates(self, patient_id: int, values: Mapping[str, Any]) -> Sequence[int]:
        """Return the records that an earlier import, since rolled back, left because they were in use."""
        model = self.record_type.model
        same: list[ColumnElement[bool]] = [model.patient_id == patient_id, model.deleted_at.is_(None)]
        for name in (self.record_type.title_field, *self.record_type.date_fields):
            column = getattr(model, name)
            same.append(column.is_(None) if values.get(name) is None else column == values[name])
        return db.session.scalars(select(model.id).where(*same, model.created_at == values["created_at"])).all()


def bring_all(source: Source, step: Callable[[str, int], Progress]) -> None:
    """Bring everything except files along, in the order in which rows depend on each other."""
    medikeep = source.medikeep
    steps: list[Step] = [Accounts(source), Patients(source), Shares(source)]
    steps += [Records(source, kind, table) for table, kind in schema.RECORDS.items()]
    if source.only:
        steps[0] = Accounts(source, wanted=_accounts_of(source))
    for one in steps:
        one.run(step(f"Importing {one.table.replace('_', ' ')}", medikeep.count(one.table)))


def owner_of(row: Row, medikeep: MediKeep) -> int | None:
    """Return the account that owns a patient."""
    owner = row.get(medikeep.owner)
    return row.get("user_id") if owner is None else owner


def is_active(share: Row) -> bool:
    return share.get("is_active") is None or bool(share["is_active"])


def _accounts_of(source: Source) -> set[int]:
    """Return the accounts that own or share the patients to import."""
    medikeep = source.medikeep
    owners = {owner_of(row, medikeep) for row in medikeep.of(schema.PATIENTS, "id", source.only)}
    shares = {row.get("shared_with_user_id") for row in medikeep.of(schema.SHARES, "patient_id", source.only)}
    return {number for number in owners | shares if number is not None}


def _grouped(rows: Iterator[Row], name: str) -> dict[int, list[Row]]:
    found: dict[int, list[Row]] = {}
    for row in rows:
        found.setdefault(row[name], []).append(row)
    return found


def _folded(value: str) -> str:
    return " ".join(value.split()).casefold()
