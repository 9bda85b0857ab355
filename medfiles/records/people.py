"""The patients an actor can see, when they are too many for one list: in pages, by name, or most recently used."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date
from typing import Any

from sqlalchemy import Select, func, select

from medfiles import permissions
from medfiles.database import cursors
from medfiles.database.cursors import Cursor
from medfiles.database.session import db
from medfiles.models import AuditEvent, Patient
from medfiles.permissions import Actor
from medfiles.text import fold

AMONG = 1000  # latest events of the installation, in which an actor's recent patients are looked for
SCOPE = "people"  # of cursors
BY_NAME = (Patient.first_name, Patient.last_name, Patient.id)

Found = Sequence[tuple[Patient, str]]  # patients, each with the actor's level


@dataclass(frozen=True)
class PeoplePage:
    """A page of the patients whose names match a search. `hits` is None on later pages; `next` is a cursor."""

    people: Found
    hits: int | None
    next: str | None


def shown(actor: Actor, most: int) -> tuple[Found, bool]:
    """Return all patients by name; if they are more than `most`, only the most recently used, and True."""
    found = _rows(_visible(actor).limit(most + 1))
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
        others = _visible(actor).where(Patient.id.not_in(used)).order_by(*BY_NAME).limit(limit - len(found))
        found += _rows(others)
    return found


def of(actor: Actor, patient_ids: Sequence[int]) -> Found:
    """Return these patients, as far as the actor can see them."""
    return _rows(_visible(actor).where(Patient.id.in_(patient_ids))) if patient_ids else []


def read_cursor(token: str) -> Cursor:
    """Parse a cursor of a list of patients; raise Rejected for any other."""
    return cursors.read(token, SCOPE, str)


def page(actor: Actor, words: str, cursor: Cursor | None, size: int) -> PeoplePage:
    """Return the first patients after the cursor with every word in name or birth date, ordered by name."""
    allowed = permissions.levels(actor).subquery()
    query = select(*BY_NAME, Patient.birth_date).join(allowed, allowed.c.patient_id == Patient.id)
    wanted = fold(words).split()
    dated = any(letter.isdigit() for letter in words)
    texts = [
        (fold(f"{first_name} {last_name}{_written(born) if dated else ''}"), patient_id)
        for first_name, last_name, patient_id, born in db.session.execute(query)
    ]
    matching = [entry for entry in texts if all(word in entry[0] for word in wanted)]
    after = sorted(entry for entry in matching if cursor is None or entry > (cursor.value, cursor.id))
    shown = after[:size]
    found = {patient.id: (patient, level) for patient, level in of(actor, [patient_id for _, patient_id in shown])}
    people = [found[patient_id] for _, patient_id in shown if patient_id in found]
    following = cursors.write(SCOPE, *shown[-1]) if len(after) > size else None
    return PeoplePage(people, len(matching) if cursor is None else None, following)


def _written(born: date) -> str:
    """Return a birth date in the ways in which people may type it."""
    return f" {born} {born.day} {born:%b %Y} {born:%d.%m.%Y} {born:%d/%m/%Y} {born:%m/%d/%Y}"


def _visible(actor: Actor) -> Select[Any]:
    allowed = permissions.levels(actor).subquery()
    return select(Patient, allowed.c.level).join(allowed, allowed.c.patient_id == Patient.id)


def _rows(query: Select[Any]) -> list[tuple[Patient, str]]:
    return [(patient, level) for patient, level in db.session.execute(query)]
