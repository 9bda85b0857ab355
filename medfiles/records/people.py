"""The patients an actor can see, when they are too many for one list: in pages, by name, or most recently used."""

import json
from calendar import month_abbr
from collections.abc import Collection, Sequence
from dataclasses import dataclass
from datetime import date
from functools import cache
from typing import Any

from sqlalchemy import ColumnElement, Integer, Select, bindparam, delete, func, select, tuple_, union_all
from sqlalchemy.dialects import postgresql, sqlite

from medfiles import permissions
from medfiles.database import cursors
from medfiles.database.cursors import Cursor
from medfiles.database.session import db
from medfiles.models import AuditEvent, Patient, PatientPin
from medfiles.permissions import Actor
from medfiles.text import fold

AMONG = 1000  # latest events of the installation, in which an actor's recent patients are looked for; and most pins
SCOPE, FOUND = "patients", "people"  # of cursors: of all patients, and of those that match words
# Conditions of `_rows`, each of which is one object, because statements are kept by them.
NOT_ARCHIVED, ARCHIVED = Patient.archived_at.is_(None), Patient.archived_at.is_not(None)
AMONG_IDS = Patient.id.in_(bindparam("ids", expanding=True))
NOT_AMONG_IDS = Patient.id.not_in(bindparam("ids", expanding=True))
INSERT = {"sqlite": sqlite.insert, "postgresql": postgresql.insert}
BY_NAME = (Patient.first_name, Patient.last_name, Patient.id)
AFTER = tuple_(*BY_NAME) > tuple_(*(bindparam(f"after_{column.key}", type_=column.type) for column in BY_NAME))

Found = list[tuple[Patient, str]]  # patients, each with the actor's level


@dataclass(frozen=True)
class PeoplePage:
    """A page of the patients whose names match a search. `hits` is None on later pages; `next` is a cursor."""

    people: Found
    hits: int | None
    next: str | None


def shown(actor: Actor, most: int) -> tuple[Found, bool]:
    """Return all patients by name, without archived ones; if more than `most`, only those last used, and True.

    Those that the account has pinned come first.
    """
    found = _rows(actor, NOT_ARCHIVED, limit=most + 1)
    if len(found) > most:
        first = pinned(actor, most)
        return first + recent(actor, most - len(first), [patient.id for patient, _ in first]), True
    return sorted(found, key=lambda row: (not row[0].is_pinned, *_by_name(row))), False


def pinned(actor: Actor, limit: int) -> Found:
    """Return the patients that the actor's account has pinned, by name."""
    ids = db.session.scalars(select(PatientPin.patient_id).filter_by(user_id=actor.user_id).limit(AMONG)).all()
    return _rows(actor, AMONG_IDS, NOT_ARCHIVED, by=BY_NAME, limit=limit, ids=ids) if ids else []


def set_pinned(actor: Actor, patient_id: int, pinned: bool) -> None:
    """Pin a patient for the actor's account, or unpin it, in the open transaction."""
    key = {"user_id": actor.user_id, "patient_id": patient_id}
    if pinned:
        statement: Any = INSERT[db.engine.dialect.name](PatientPin).values(key)
        db.session.execute(statement.on_conflict_do_nothing())
    else:
        db.session.execute(delete(PatientPin).filter_by(**key))


def reloaded(actor: Actor, patient: Patient) -> Patient:
    """Return the patient as the actor sees it after a change, in the open transaction."""
    db.session.flush()
    return permissions.patient_as_seen_by(actor, patient.id)


def recent(actor: Actor, limit: int, without: Collection[int] = ()) -> Found:
    """Return the patients of the actor's latest operations, then others by name, until there are `limit`."""
    used = [patient_id for patient_id in used_by(actor) if patient_id not in without]
    places = {patient_id: place for place, patient_id in enumerate(used)}
    found = _rows(actor, AMONG_IDS, NOT_ARCHIVED, ids=used) if used else []
    found = sorted(found, key=lambda row: places[row[0].id])[:limit]
    if len(found) < limit:
        missing, known = limit - len(found), [*used, *without]
        found += _rows(actor, NOT_AMONG_IDS, NOT_ARCHIVED, by=BY_NAME, limit=missing, ids=known)
    return found


def used_by(actor: Actor) -> Sequence[int]:
    """Return the ids of the patients of the actor's latest operations, latest first, also those no longer visible.

    Only the latest events are searched, so that a long audit log takes no more time.
    """
    latest = select(AuditEvent.id, AuditEvent.actor_id, AuditEvent.patient_id).order_by(AuditEvent.id.desc())
    events = latest.limit(AMONG).subquery()
    own = select(events.c.patient_id).where(events.c.actor_id == actor.user_id, events.c.patient_id.is_not(None))
    latest_first = own.group_by(events.c.patient_id).order_by(func.max(events.c.id).desc())
    return db.session.scalars(latest_first).all()


def of(actor: Actor, patient_ids: Sequence[int]) -> Found:
    """Return these patients, as far as the actor can see them."""
    return _rows(actor, AMONG_IDS, ids=patient_ids) if patient_ids else []


def after(actor: Actor, cursor: Cursor | None, limit: int | None) -> tuple[Found, str | None]:
    """Return up to `limit` patients by name after the cursor, or all of them, and the cursor of the next page."""
    later: tuple[ColumnElement[bool], ...] = ()
    values: dict[str, Any] = {}
    if cursor is not None:
        later = (AFTER,)
        values = dict(zip((f"after_{column.key}" for column in BY_NAME), (*cursor.value, cursor.id), strict=True))
    found = _rows(actor, *later, by=BY_NAME, limit=None if limit is None else limit + 1, **values)
    shown = found[:limit]
    if len(shown) == len(found):
        return shown, None
    last = shown[-1][0]
    return shown, cursors.write(SCOPE, json.dumps([last.first_name, last.last_name]), last.id)


def read_cursor(token: str) -> Cursor:
    """Parse a cursor of the patients by name; raise Rejected for any other."""
    return cursors.read(token, SCOPE, _read_names)


def _read_names(value: str) -> tuple[str, str]:
    names = json.loads(value)
    if not isinstance(names, list) or [type(name) for name in names] != [str, str] or "\0" in "".join(names):
        raise ValueError("not two names")
    return names[0], names[1]


def read_found_cursor(token: str) -> Cursor:
    """Parse a cursor of the patients that match words; raise Rejected for any other."""
    return cursors.read(token, FOUND, str)


def archived(actor: Actor, words: str) -> Found:
    """Return the archived patients with every word in name or birth date, ordered by name."""
    wanted = fold(words).split()
    found = _rows(actor, ARCHIVED, by=BY_NAME)
    texts = [_text(patient.first_name, patient.last_name, patient.birth_date) for patient, _ in found]
    return [row for row, text in zip(found, texts, strict=True) if all(word in text for word in wanted)]


def page(actor: Actor, words: str, cursor: Cursor | None, size: int) -> PeoplePage:
    """Return the first patients after the cursor with every word in name or birth date, ordered by name.

    Archived patients are left out.
    """
    allowed = permissions.levels(actor).subquery()
    wanted = fold(words).split()
    dated = any(letter.isdigit() for letter in words)
    columns = (*BY_NAME, Patient.birth_date) if dated else BY_NAME
    query = select(*columns).join(allowed, allowed.c.patient_id == Patient.id).where(NOT_ARCHIVED)
    texts = [
        (_text(first_name, last_name, *born), patient_id)
        for first_name, last_name, patient_id, *born in db.session.execute(query)
    ]
    matching = [entry for entry in texts if all(word in entry[0] for word in wanted)]
    later = sorted(entry for entry in matching if cursor is None or entry > (cursor.value, cursor.id))
    shown = later[:size]
    found = {patient.id: (patient, level) for patient, level in of(actor, [patient_id for _, patient_id in shown])}
    people = [found[patient_id] for _, patient_id in shown if patient_id in found]
    following = cursors.write(FOUND, *shown[-1]) if len(later) > size else None
    return PeoplePage(people, len(matching) if cursor is None else None, following)


def _text(first_name: str, last_name: str, *born: date) -> str:
    return fold(f"{first_name} {last_name}{_written(*born)}")


def _by_name(row: tuple[Patient, str]) -> tuple[str, str, int]:
    patient, _ = row
    return patient.first_name, patient.last_name, patient.id


def _written(born: date | None = None) -> str:
    """Return a birth date in the ways in which people may type it."""
    if born is None:
        return ""
    year, month, day = str(born).split("-")
    numbers = f"{day}.{month}.{year} {day}/{month}/{year} {month}/{day}/{year}"
    return f" {born} {born.day} {month_abbr[born.month]} {year} {numbers}"


def _rows(
    actor: Actor, *which: ColumnElement[bool], by: Sequence[Any] = (), limit: int | None = None, **values: Any
) -> Found:
    """Return the first of the patients that the actor can see and that meet the conditions, in the order `by`.

    `values` are those of the bind parameters in the conditions.
    """
    query = _query(actor.only_patient is not None, which, tuple(by), limit is not None)
    rows = db.session.execute(query, {**permissions.parameters(actor), "limit": limit, **values})
    return [(permissions.seen(patient, *seen), level) for level, patient, *seen in rows]


@cache
def _query(
    narrowed: bool, which: tuple[ColumnElement[bool], ...], by: tuple[Any, ...], limited: bool
) -> Select[str, Patient, bool, bool]:
    limit = bindparam("limit", type_=Integer) if limited else None
    granted = permissions.granted_by_parameters(narrowed)
    parts = [select(part.where(*which).order_by(*by).limit(limit).subquery()) for part in granted]
    allowed = union_all(*parts).subquery()
    query = select(allowed.c.level, Patient, *permissions.seen_columns(narrowed))
    return query.join(allowed, allowed.c.patient_id == Patient.id).order_by(*by).limit(limit)
