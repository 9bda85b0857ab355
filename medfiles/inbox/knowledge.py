"""What suggestions are made from: texts, people, their records, and where earlier documents were filed."""

from collections.abc import Collection, Mapping, Sequence

from sqlalchemy import select

from medfiles import permissions
from medfiles.antivirus.policy import is_blocked
from medfiles.database.session import db
from medfiles.inbox.people import Evidence, Person, better_match
from medfiles.inbox.scoring import Candidate, candidate
from medfiles.inbox.suggesting import Filed, name_pattern
from medfiles.models import EntityFile, PageText, Patient, User
from medfiles.permissions import Actor
from medfiles.record_types.declared import Registry
from medfiles.texts.store import IS_CURRENT

PAGES = 5  # of a document, which are read for suggestions
MOST_FILED = 2000  # latest documents of the patients, from which suggestions are learned

People = Mapping[int, tuple[Patient, str]]  # each with the actor's level


def people(actor: Actor) -> People:
    """Return all patients the actor can see, by id."""
    allowed = permissions.levels(actor).subquery()
    query = select(Patient, allowed.c.level).join(allowed, allowed.c.patient_id == Patient.id)
    return {patient.id: (patient, str(level)) for patient, level in db.session.execute(query)}


def as_persons(known: People) -> Sequence[Person]:
    return [Person(each.id, each.first_name, each.last_name, each.birth_date) for each, _ in known.values()]


def other_named(found: Mapping[int, Evidence], chosen: int, known: People) -> int | None:
    """Return whom a document names rather than the chosen patient, or None if that one is archived."""
    other = better_match(found, chosen)
    return None if other is None or known[other][0].archived_at is not None else other


def texts(hashes: Collection[str]) -> Mapping[str, Sequence[str]]:
    """Return the texts of the first pages by the hash of the document."""
    found: dict[str, list[str]] = {}
    query = select(PageText.sha256, PageText.text).where(
        PageText.sha256.in_(hashes), IS_CURRENT, PageText.page <= PAGES
    )
    for sha256, text in db.session.execute(query.order_by(PageText.sha256, PageText.page)) if hashes else ():
        found.setdefault(sha256, []).append(text)
    return found


def is_held(file: EntityFile, user_id: int) -> bool:
    return is_blocked(file, user_id)


def date_order(user_id: int) -> str | None:
    return db.session.scalar(select(User.date_order).where(User.id == user_id))


def candidates(registry: Registry, patient_ids: Collection[int]) -> Mapping[int, Sequence[Candidate]]:
    """Return the live records of these patients that documents can be added to, by patient, the newest first."""
    found: dict[int, list[Candidate]] = {}
    for record_type in registry:
        if "upload" not in record_type.operations:
            continue
        model = record_type.model
        query = select(model).where(model.patient_id.in_(patient_ids), model.deleted_at.is_(None))
        for record in db.session.scalars(query):
            found.setdefault(record.patient_id, []).append(candidate(record_type, record))
    for each in found.values():
        each.sort(key=lambda one: (one.day is not None, one.day, one.id), reverse=True)
    return found


def filed(patient_ids: Collection[int]) -> Mapping[int, Sequence[Filed]]:
    """Return where these patients' latest documents were filed, by patient."""
    found: dict[int, list[Filed]] = {}
    where = (EntityFile.patient_id.in_(patient_ids), EntityFile.deleted_at.is_(None), ~EntityFile.to_file)
    query = select(EntityFile.patient_id, EntityFile.file_name, EntityFile.entity_type, EntityFile.category)
    for patient_id, name, record_type, category in db.session.execute(
        query.where(*where).order_by(EntityFile.uploaded_at.desc(), EntityFile.id.desc()).limit(MOST_FILED)
    ):
        found.setdefault(patient_id, []).append(Filed(name_pattern(name), record_type, category))
    return found
