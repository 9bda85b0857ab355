"""Patients, their shares, and the records that documents are attached to."""

from datetime import date, datetime
from typing import Any, ClassVar

from sqlalchemy import (
    JSON,
    BigInteger,
    CheckConstraint,
    ColumnElement,
    ForeignKey,
    Index,
    SmallInteger,
    String,
    Text,
    UniqueConstraint,
)
from sqlalchemy.ext.hybrid import hybrid_property
from sqlalchemy.orm import Mapped, declared_attr, mapped_column, synonym

from medfiles.clock import now
from medfiles.database.session import Id, UtcDateTime, db


class TrashMixin:
    """When, by whom and in which housekeeping round a row was moved to the trash; None while it is not in the trash."""

    deleted_at: Mapped[datetime | None] = mapped_column(UtcDateTime)
    deleted_by: Mapped[int | None] = mapped_column(Id)
    deleted_round: Mapped[int | None] = mapped_column(Id)


class Patient(TrashMixin, db.Model):  # type: ignore[name-defined,misc]
    """A patient, whose records and documents are trashed along with the patient, although their rows do not change.

    Once `purge_began_at` is set, the patient can no longer be restored. Documents can be attached to a patient as to a
    record, so a patient has a `patient_id` too.
    """

    __tablename__ = "patients"
    __table_args__ = (
        CheckConstraint("hue BETWEEN 1 AND 8", name="hue"),
        Index(None, "birth_date", "last_name", "first_name"),  # for namesakes
        {"sqlite_autoincrement": True},
    )

    id: Mapped[int] = mapped_column(Id, primary_key=True)
    user_id: Mapped[int] = mapped_column(ForeignKey("users.id"), index=True)
    first_name: Mapped[str] = mapped_column(String(100))
    last_name: Mapped[str] = mapped_column(String(100))
    birth_date: Mapped[date]
    gender: Mapped[str | None] = mapped_column(String(50))
    allergies: Mapped[str | None] = mapped_column(String(500))
    notes: Mapped[str | None] = mapped_column(Text)
    hue: Mapped[int] = mapped_column(SmallInteger, server_default="1")  # its color, one of `record_types.fields.HUES`
    created_at: Mapped[datetime] = mapped_column(UtcDateTime, default=now)
    updated_at: Mapped[datetime] = mapped_column(UtcDateTime, default=now, onupdate=now)
    archived_at: Mapped[datetime | None] = mapped_column(UtcDateTime)  # hidden from home and read-only since then
    photo_key: Mapped[str | None] = mapped_column(String(500), index=True, unique=True)
    photo_storage: Mapped[str | None] = mapped_column(String(50))
    photo_size: Mapped[int | None] = mapped_column(BigInteger)
    purge_began_at: Mapped[datetime | None] = mapped_column(UtcDateTime)
    patient_id: Mapped[int] = synonym("id")
    # What one account sees, set by `permissions.seen`:
    is_pinned = False
    has_namesake = False  # it sees another patient of this name and birth date

    @hybrid_property
    def full_name(self) -> str:
        return f"{self.first_name} {self.last_name}"

    @full_name.inplace.expression
    @classmethod
    def _full_name(cls) -> ColumnElement[str]:
        return cls.first_name + " " + cls.last_name


class PatientShare(db.Model):  # type: ignore[name-defined,misc]
    """Another account's access to a patient, until `expires_at` (None: until revoked).

    A share is pending, without an account, until the account with `address` accepts it. `address_key` is the normalized
    address used in comparisons; `token_id` is the API token that granted access.
    """

    __tablename__ = "patient_shares"
    __table_args__ = (
        UniqueConstraint("patient_id", "user_id"),
        UniqueConstraint("patient_id", "address_key"),
        CheckConstraint("(user_id IS NULL) = (accepted_at IS NULL)", name="accepted"),
        CheckConstraint("level IN ('view', 'edit')", name="level"),
        {"sqlite_autoincrement": True},
    )

    id: Mapped[int] = mapped_column(Id, primary_key=True)
    patient_id: Mapped[int] = mapped_column(ForeignKey("patients.id"))
    user_id: Mapped[int | None] = mapped_column(ForeignKey("users.id"), index=True)
    address: Mapped[str] = mapped_column(String(255))
    address_key: Mapped[str] = mapped_column(String(255), index=True)
    level: Mapped[str] = mapped_column(String(10))
    token_id: Mapped[int | None] = mapped_column(Id)
    accepted_at: Mapped[datetime | None] = mapped_column(UtcDateTime)
    expires_at: Mapped[datetime | None] = mapped_column(UtcDateTime)
    created_at: Mapped[datetime] = mapped_column(UtcDateTime, default=now)


class PatientPin(db.Model):  # type: ignore[name-defined,misc]
    """A patient that an account keeps at the top of its lists. It lasts while the account can see the patient."""

    __tablename__ = "patient_pins"

    user_id: Mapped[int] = mapped_column(ForeignKey("users.id", ondelete="CASCADE"), primary_key=True)
    patient_id: Mapped[int] = mapped_column(ForeignKey("patients.id", ondelete="CASCADE"), primary_key=True, index=True)


class RecordMixin(TrashMixin):
    """Columns shared by all record types. `dated_by` names the columns that give a record its date in the timeline."""

    dated_by: ClassVar[tuple[str, ...]] = ()  # indexed, so that a patient with thousands of records is listed quickly

    id: Mapped[int] = mapped_column(Id, primary_key=True)
    notes: Mapped[str | None] = mapped_column(Text)
    created_at: Mapped[datetime] = mapped_column(UtcDateTime, default=now)
    updated_at: Mapped[datetime] = mapped_column(UtcDateTime, default=now, onupdate=now)
    creation_key: Mapped[str | None] = mapped_column(String(64))  # so that a form submitted twice creates one record

    @declared_attr.directive
    def __table_args__(cls) -> Any:
        indexes = [Index(None, "creation_key", "patient_id", unique=True)]
        if cls.dated_by:
            indexes.append(Index(None, "patient_id", "deleted_at", *cls.dated_by, "id"))
        return *indexes, {"sqlite_autoincrement": True}

    @declared_attr
    def patient_id(cls) -> Mapped[int]:
        return mapped_column(ForeignKey("patients.id"), index=True)


class LabResult(RecordMixin, db.Model):  # type: ignore[name-defined,misc]
    __tablename__ = "lab_results"
    dated_by = ("completed_date", "ordered_date", "created_at")

    test_name: Mapped[str] = mapped_column(String(255))
    test_code: Mapped[str | None] = mapped_column(String(50))
    test_category: Mapped[str | None] = mapped_column(String(100))
    test_type: Mapped[str | None] = mapped_column(String(100))
    facility: Mapped[str | None] = mapped_column(String(255))
    status: Mapped[str | None] = mapped_column(String(50))
    labs_result: Mapped[str | None] = mapped_column(String(255))
    ordered_date: Mapped[date | None]
    completed_date: Mapped[date | None]
    practitioner: Mapped[str | None] = mapped_column(String(255))


class Insurance(RecordMixin, db.Model):  # type: ignore[name-defined,misc]
    __tablename__ = "insurances"
    dated_by = ("effective_date", "created_at")

    insurance_type: Mapped[str | None] = mapped_column(String(50))
    company_name: Mapped[str] = mapped_column(String(255))
    member_name: Mapped[str | None] = mapped_column(String(255))
    member_id: Mapped[str | None] = mapped_column(String(100))
    effective_date: Mapped[date | None]
    employer_group: Mapped[str | None] = mapped_column(String(255))
    group_number: Mapped[str | None] = mapped_column(String(100))
    plan_name: Mapped[str | None] = mapped_column(String(255))
    policy_holder_name: Mapped[str | None] = mapped_column(String(255))
    relationship_to_holder: Mapped[str | None] = mapped_column(String(100))
    expiration_date: Mapped[date | None]
    status: Mapped[str | None] = mapped_column(String(50))
    is_primary: Mapped[bool] = mapped_column(default=False)
    contact_info: Mapped[dict[str, Any] | None] = mapped_column(JSON)


class Visit(RecordMixin, db.Model):  # type: ignore[name-defined,misc]
    __tablename__ = "visits"
    dated_by = ("date",)

    reason: Mapped[str] = mapped_column(String(255))
    date: Mapped[date]
    visit_type: Mapped[str | None] = mapped_column(String(100))
    chief_complaint: Mapped[str | None] = mapped_column(Text)
    diagnosis: Mapped[str | None] = mapped_column(Text)
    treatment_plan: Mapped[str | None] = mapped_column(Text)
    follow_up_instructions: Mapped[str | None] = mapped_column(Text)
    location: Mapped[str | None] = mapped_column(String(255))
    practitioner: Mapped[str | None] = mapped_column(String(255))


class Procedure(RecordMixin, db.Model):  # type: ignore[name-defined,misc]
    __tablename__ = "procedures"
    dated_by = ("date",)

    procedure_name: Mapped[str] = mapped_column(String(255))
    date: Mapped[date]
    procedure_type: Mapped[str | None] = mapped_column(String(100))
    procedure_code: Mapped[str | None] = mapped_column(String(50))
    description: Mapped[str | None] = mapped_column(Text)
    status: Mapped[str | None] = mapped_column(String(50))
    outcome: Mapped[str | None] = mapped_column(Text)
    facility: Mapped[str | None] = mapped_column(String(255))
    practitioner: Mapped[str | None] = mapped_column(String(255))
