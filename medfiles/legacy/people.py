"""Match users, patients and lab results from another installation with those here, or create them."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, timedelta
from itertools import islice
from typing import Any

from sqlalchemy import ColumnElement, exists, func, select
from sqlalchemy.exc import DataError, IntegrityError, StatementError

from medfiles.accounts import service as accounts
from medfiles.audit import event_log
from medfiles.audit.event_log import AuditTarget
from medfiles.clock import now
from medfiles.database.session import db, transaction
from medfiles.errors import Rejected
from medfiles.legacy import log
from medfiles.legacy.connection import day, moment, text
from medfiles.legacy.inventory import Inventory
from medfiles.legacy.source import Source
from medfiles.models import EntityFile, LabResult, LegacyId, LegacySource, Patient, User
from medfiles.record_types.declared import LAB_RESULT
from medfiles.records import hues
from medfiles.search import index

BATCH = 100
USER, PATIENT, RESULT = "user", "patient", "lab-result"
Row = Mapping[str, Any]


@dataclass(frozen=True)
class Kind:
    """A kind of row (user, patient or lab result): how to find its counterpart here, and how to create one.

    `find` and `make` receive the new id of the row's owner. `find` returns the ids of all candidates.
    """

    name: str
    table: str
    model: Any
    owner: tuple[str, str] | None  # the owner's kind, and the column with its id
    find: Callable[[Row, int], Sequence[int]]
    make: Callable[[Row, int], int]


def bring_along(source: Source, known: LegacySource, found: Inventory) -> None:
    """Match or create every user, patient and lab result of the source. Failures are recorded as findings."""
    if source.is_own:
        return
    for kind in KINDS:
        for rows in _batches(source, kind):
            with transaction():
                done = log.ids(known, kind.name, [row["id"] for row in rows])
                for row in rows:
                    if row["id"] not in done:
                        _bring(row, kind, known, found)


def _batches(source: Source, kind: Kind) -> Iterator[Sequence[Row]]:
    rows = source.rows(kind.table)
    while batch := list(islice(rows, BATCH)):
        yield batch


def _bring(row: Row, kind: Kind, known: LegacySource, found: Inventory) -> None:
    owner = 0
    if kind.owner is not None:
        belongs, column = kind.owner
        owner = log.ids(known, belongs, [row[column]]).get(row[column]) or 0
        if not owner:
            return  # its owner was not imported: already reported, or the chain is broken
    try:
        with db.session.begin_nested():
            match = _only(kind, known, kind.find(row, owner))
            log.enter(known, kind.name, row["id"], match or kind.make(row, owner), brought=match is None)
            db.session.flush()
    except (IntegrityError, DataError, StatementError, Rejected) as error:
        words = error.message if isinstance(error, Rejected) else "it cannot be stored here"
        found.add("findings", kind.name, row["id"], f"the {kind.name} was not imported: {words}")


def _only(kind: Kind, known: LegacySource, candidates: Sequence[int]) -> int | None:
    """Return the only candidate that is not matched yet, or None if there is not exactly one."""
    taken = select(LegacyId.new_id).where(
        LegacyId.source_id == known.id, LegacyId.kind == kind.name, LegacyId.new_id.in_(candidates)
    )
    free = set(candidates) - set(db.session.scalars(taken))
    if kind.name == USER and candidates and not free:
        raise Rejected("another account in the source has the same email")
    return free.pop() if len(free) == 1 else None


def _find_user(row: Row, _: int) -> Sequence[int]:
    address = (text(row["email"]) or "").strip()
    exact = db.session.scalars(select(User.id).where(User.email == address)).all()
    return exact or db.session.scalars(select(User.id).where(func.lower(User.email) == address.lower())).all()


def _make_user(row: Row, _: int) -> int:
    address = (text(row["email"]) or "").strip()
    if "@" not in address:
        raise Rejected("it has no email")
    return accounts.create_without_password(address).id


def _find_patient(row: Row, owner: int) -> Sequence[int]:
    born = Patient.birth_date == day(row["birth_date"])
    query = select(Patient).where(Patient.user_id == owner, born, Patient.deleted_at.is_(None))
    named = (_folded(row["first_name"]), _folded(row["last_name"]))
    return [
        patient.id
        for patient in db.session.scalars(query)
        if (_folded(patient.first_name), _folded(patient.last_name)) == named
    ]


def _make_patient(row: Row, owner: int) -> int:
    if (born := day(row["birth_date"])) is None:
        raise Rejected("it has no date of birth")
    at = now()
    patient = Patient(
        created_at=at, updated_at=at, user_id=owner,
        first_name=text(row["first_name"]) or "", last_name=text(row["last_name"]) or "",
        birth_date=born, gender=text(row["gender"]), notes=text(row["notes"]),
        hue=hues.least_used(Patient.user_id == owner),
    )  # fmt: skip
    db.session.add(patient)
    db.session.flush()
    index.put_patient(patient)
    event_log.record(None, "create-patient", AuditTarget(patient.id, name=f"{patient.first_name} {patient.last_name}"))
    return patient.id


def _find_result(row: Row, owner: int) -> Sequence[int]:
    same: list[ColumnElement[bool]] = [LabResult.patient_id == owner, LabResult.test_name == text(row["test_name"])]
    same += [_equal(LabResult.test_code, text(row["test_code"]))]
    same += [_equal(getattr(LabResult, name), day(row[name])) for name in DATES]
    return db.session.scalars(select(LabResult.id).where(*same)).all()


def _make_result(row: Row, owner: int) -> int:
    at = moment(row["created_at"])
    made = at.replace(tzinfo=UTC) if at and at.tzinfo is None else at or now()
    values: dict[str, Any] = {name: text(row[name]) for name in TEXTS} | {name: day(row[name]) for name in DATES}
    record = LabResult(patient_id=owner, created_at=made, updated_at=made, **values)
    db.session.add(record)
    db.session.flush()
    index.put_record(LAB_RESULT, record)
    event_log.record(None, "create-record", AuditTarget(owner, RESULT, record.id, name=record.test_name))
    return record.id


def _equal(column: Any, value: Any) -> ColumnElement[bool]:
    found: ColumnElement[bool] = column.is_(None) if value is None else column == value
    return found


def _folded(value: Any) -> str:
    return " ".join((text(value) or "").split()).casefold()


TEXTS = (
    "test_name", "test_code", "test_category", "test_type", "facility", "status", "labs_result", "practitioner",
    "notes",
)  # fmt: skip
DATES = ("ordered_date", "completed_date")
KINDS = (
    Kind(USER, "users", User, None, _find_user, _make_user),
    Kind(PATIENT, "patients", Patient, (USER, "user_id"), _find_patient, _make_patient),
    Kind(RESULT, "lab_results", LabResult, (PATIENT, "patient_id"), _find_result, _make_result),
)


def take_back(known: LegacySource) -> Sequence[tuple[str, int]]:
    """Delete unused rows that the migration created; return the kind and id of those in use."""
    stays: list[tuple[str, int]] = []
    for kind in reversed(KINDS):
        after: int | None = 0
        while after is not None:
            after = _take_back_some(kind, known, after, stays)
    return stays


def _take_back_some(kind: Kind, known: LegacySource, after: int, stays: list[tuple[str, int]]) -> int | None:
    query = select(LegacyId).where(
        LegacyId.source_id == known.id, LegacyId.kind == kind.name, LegacyId.brought, LegacyId.new_id > after
    )
    with transaction() as session:
        entries = session.scalars(query.order_by(LegacyId.new_id).limit(BATCH)).all()
        for entry in entries:
            row = session.get(kind.model, entry.new_id)
            if row is not None and not _deleted(kind, row):
                stays.append((kind.name, entry.new_id))
        return entries[-1].new_id if entries else None


def _deleted(kind: Kind, row: Any) -> bool:
    """Delete a row unless it was changed or is referenced; return whether it was deleted."""
    if _is_changed(kind, row):
        return False
    try:
        with db.session.begin_nested():
            if kind.name == PATIENT:
                index.drop_patient(row.id)
            elif kind.name == RESULT:
                index.drop_records(LAB_RESULT, [row.id])
            db.session.delete(row)
            db.session.flush()
    except IntegrityError:
        return False
    return True


def _is_changed(kind: Kind, row: Any) -> bool:
    if kind.name == USER:
        return bool(row.update_datetime - row.create_datetime > timedelta(seconds=1))
    if row.updated_at != row.created_at:
        return True
    held = select(exists().where(EntityFile.entity_type == RESULT, EntityFile.entity_id == row.id))
    return kind.name == RESULT and bool(row.deleted_at or db.session.scalar(held))
