"""The patients an actor can see, when they are too many for one list: in pages, by name, or most recently used."""

import json
from calendar import month_abbr
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date
from typing import Any

from sqlalchemy import ColumnElement, func, literal, select, tuple_, union_all

from medfiles import permissions
from medfiles.database import cursors
from medfiles.database.cursors import Cursor
from medfiles.database.session import db
from medfiles.models import AuditEvent, Patient
from medfiles.permissions import Actor
from medfiles.text import fold

AMONG = 1000  # latest events of the installation, in which an actor's recent patients are looked for
SCOPE, FOUND = "patients", "people"  # of cursors: of all patients, and of those that match words
BY_NAME = (Patient.first_name, Patient.last_name, Patient.id)

Found = list[tuple[Patient, str]]  # patients, each with the actor's level


@dataclass(frozen=True)
class PeoplePage:
    """A page of the patients whose names match a search. `hits` is None on later pages; `next` is a cursor."""

    people: Found
    hits: int | None
    next: str | None


def shown(actor: Actor, most: int) -> tuple[Found, bool]:
    """Return all patients by name; if they are more than `most`, only the most recently used, and True."""
    found = _rows(actor, limit=most + 1)
    if len(found) > most:
        return recent(actor, most), True
    return sorted(found, key=lambda row: (row[0].first_name, row[0].last_name, row[0].id)), False


def recent(actor: Actor, limit: int) -> Found:
    """Return the patients of the actor's latest operations, then others by name, until there are `limit`.

    Only the latest events are searched, so that a long audit log takes no more time.
    """
    latest = select(AuditEvent.id, AuditEvent.actor_id, AuditEvent.patient_id).order_by(AuditEvent.id.desc())
    events = latest.limit(AMONG).subquery()
    own = select(events.c.patient_id).where(events.c.actor_id == actor.user_id, events.c.patient_id.is_not(None))
    used = db.session.scalars(own.group_by(events.c.patient_id).order_by(func.max(events.c.id).desc())).all()
    places = {patient_id: place for place, patient_id in enumerate(used)}
    found = sorted(of(actor, used), key=lambda row: places[row[0].id])[:limit]
    if len(found) < limit:
        found += _rows(actor, Patient.id.not_in(used), by=BY_NAME, limit=limit - len(found))
    return found


def of(actor: Actor, patient_ids: Sequence[int]) -> Found:
    """Return these patients, as far as the actor can see them."""
    return _rows(actor, Patient.id.in_(patient_ids)) if patient_ids else []


def after(actor: Actor, cursor: Cursor | None, limit: int | None) -> tuple[Found, str | None]:
    """Return up to `limit` patients by name after the cursor, or all of them, and the cursor of the next page."""
    later = () if cursor is None else (tuple_(*BY_NAME) > tuple_(*map(literal, (*cursor.value, cursor.id))),)
    found = _rows(actor, *later, by=BY_NAME, limit=None if limit is None else limit + 1)
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


def page(actor: Actor, words: str, cursor: Cursor | None, size: int) -> PeoplePage:
    """Return the first patients after the cursor with every word in name or birth date, ordered by name."""
    allowed = permissions.levels(actor).subquery()
    wanted = fold(words).split()
    dated = any(letter.isdigit() for letter in words)
    columns = (*BY_NAME, Patient.birth_date) if dated else BY_NAME
    query = select(*columns).join(allowed, allowed.c.patient_id == Patient.id)
    texts = [
        (fold(f"{first_name} {last_name}{_written(*born)}"), patient_id)
        for first_name, last_name, patient_id, *born in db.session.execute(query)
    ]
    matching = [entry for entry in texts if all(word in entry[0] for word in wanted)]
    later = sorted(entry for entry in matching if cursor is None or entry > (cursor.value, cursor.id))
    shown = later[:size]
    found = {patient.id: (patient, level) for patient, level in of(actor, [patient_id for _, patient_id in shown])}
    people = [found[patient_id] for _, patient_id in shown if patient_id in found]
    following = cursors.write(FOUND, *shown[-1]) if len(later) > size else None
    return PeoplePage(people, len(matching) if cursor is None else None, following)


def _written(born: date | None = None) -> str:
    """Return a birth date in the ways in which people may type it."""
    if born is None:
        return ""
    year, month, day = str(born).split("-")
    numbers = f"{day}.{month}.{year} {day}/{month}/{year} {month}/{day}/{year}"
    return f" {born} {born.day} {month_abbr[born.month]} {year} {numbers}"


def _rows(actor: Actor, *which: ColumnElement[bool], by: Sequence[Any] = (), limit: int | None = None) -> Found:
    """Return the first of the patients that the actor can see and that meet the conditions, in the order `by`."""
    granted = permissions.granted(actor)
    parts = [select(part.where(*which).order_by(*by).limit(limit).subquery()) for part in granted]
    allowed = union_all(*parts).subquery()
    query = select(Patient, allowed.c.level).join(allowed, allowed.c.patient_id == Patient.id)
    rows = db.session.execute(query.order_by(*by).limit(limit))
    return [(patient, level) for patient, level in rows]
