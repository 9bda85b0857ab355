"""Suggest the date of a document: from its text, its name, or what the file itself declares."""

from collections.abc import Collection, Iterator, Mapping
from datetime import date

from sqlalchemy import literal, or_, select, union, update

from medfiles.clock import now
from medfiles.database.session import db, read, transaction
from medfiles.models import EntityFile, Patient, PatientShare, User
from medfiles.texts import dates, store

PAGES = 5  # of a document, in which its date is looked for


def suggest(file: EntityFile, declared: Mapping[str, date]) -> date | None:
    """Store the suggestion for a document that has no date, and return it; none after its date was cleared.

    A date that can be read in two ways is not replaced by one from elsewhere.

    declared  dates by source: dicom (when the study was made), pdf (when the file was made), exif (when the photo was
              taken)
    """
    if file.document_date is not None or file.date_declined:
        return None
    births, own_birth, order = _people(file)
    today = now().date()
    texts = [page.text for page in store.texts(file.sha256, most=PAGES)]

    def sources() -> Iterator[tuple[date, ...]]:
        yield from ((declared["dicom"],),) if "dicom" in declared else ()
        yield dates.in_text(texts, order, today, births, own_birth)
        yield dates.in_name(file.file_name, order, today)
        yield from ((declared[source],) for source in ("pdf", "exif") if source in declared)

    found = next((days for days in sources() if any(_is_usable(day, births, own_birth, today) for day in days)), ())
    suggestion = found[0] if len(found) == 1 else None
    _store(file.id, suggestion)
    return suggestion


def withdraw(birth_date: date, owner_id: int) -> None:
    """Clear suggestions for the owner's patients that are this birth date of one of them, in the open transaction."""
    owned = select(Patient.id).where(Patient.user_id == owner_id)
    wrong = (EntityFile.patient_id.in_(owned), EntityFile.document_date_suggested == birth_date)
    values = {"document_date_suggested": None, "updated_at": EntityFile.updated_at}
    db.session.execute(update(EntityFile).where(*wrong).values(values))


def _is_usable(day: date, births: Collection[date], own_birth: date, today: date) -> bool:
    return own_birth < day <= today and day not in births


def _people(file: EntityFile) -> tuple[Collection[date], date, str | None]:
    """Return the birth dates of all patients that people with access to this one can see, the patient's own, and the
    order of day and month that the uploader or the owner writes.
    """
    [(owner_id, own_birth)] = read(select(Patient.user_id, Patient.birth_date).where(Patient.id == file.patient_id))
    people = select(PatientShare.user_id).where(
        PatientShare.patient_id == file.patient_id, PatientShare.user_id.is_not(None)
    )
    accounts = union(people, select(literal(owner_id))).scalar_subquery()
    shared = select(PatientShare.patient_id).where(PatientShare.user_id.in_(accounts))
    births = read(
        select(Patient.birth_date).where(or_(Patient.user_id.in_(accounts), Patient.id.in_(shared))).distinct()
    )
    orders = dict(read(select(User.id, User.date_order).where(User.id.in_([owner_id, file.uploaded_by]))))
    return {day for (day,) in births}, own_birth, orders.get(file.uploaded_by) or orders.get(owner_id)


def _store(file_id: int, suggestion: date | None) -> None:
    """Store a suggestion, which is not a change to the document itself."""
    changed = (EntityFile.id == file_id, EntityFile.document_date_suggested.is_distinct_from(suggestion))
    if not read(select(EntityFile.id).where(*changed)):
        return
    with transaction() as session:
        values = {"document_date_suggested": suggestion, "updated_at": EntityFile.updated_at}
        session.execute(update(EntityFile).where(*changed).values(values))
