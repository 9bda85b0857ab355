"""“Move…”: choose a patient and a record, move documents or a whole record there, and take them back."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from flask import Blueprint, flash, redirect, render_template, request, url_for
from flask.typing import ResponseReturnValue

from medfiles.documents import move_rules
from medfiles.documents.listing import SEARCH_LIMIT
from medfiles.documents.transfers import Moved
from medfiles.errors import MedfilesError, NotFound, Rejected
from medfiles.http import parameters, views
from medfiles.http.current import documents, record_moves, records, services
from medfiles.http.errors import status_of
from medfiles.http.rate_limits import BULK, rate_limited
from medfiles.i18n import N_, gettext, ngettext_noop
from medfiles.permissions import Action
from medfiles.record_types.declared import RecordType
from medfiles.records.service import Summary, require_editable
from medfiles.text import clean_text
from medfiles.web import notices, pages
from medfiles.web.filters import ngettext
from medfiles.web.notices import Undo

blueprint = Blueprint("moving", __name__)
MOST_PEOPLE, MOST_PLACES, MOST_FAILED = 12, 12, 5
MOST_FOUND = 100  # people whose names match, before those are left out to whom nothing can be moved
DONE = ngettext_noop("“%(name)s” moved to %(place)s.", "%(num)s documents moved to %(place)s.")


@dataclass(frozen=True)
class Place:
    """A record that the documents can be moved to, and what that would change."""

    value: str  # "visit:7"
    record: views.RecordView | None  # None: the patient, without a record
    count: int
    is_full: bool
    refused: int  # documents that it does not take
    lost: Sequence[str]  # labels of categories that it does not have


@dataclass(frozen=True)
class Away:
    """A document or record that can be taken back."""

    name: str
    at: datetime
    action: str  # URL of the form


@blueprint.get("/documents/files/<int:file_id>/move")
def choose_one(file_id: int) -> ResponseReturnValue:
    file = documents().editable(file_id)
    return choose(services().registry[file.entity_type], file.entity_id, [file_id])


@blueprint.post("/documents/files/<int:file_id>/move")
def move_one(file_id: int) -> ResponseReturnValue:
    file = documents().editable(file_id)
    return answer(services().registry[file.entity_type], file.entity_id, [file_id], always=True)


@blueprint.post("/documents/files/<int:file_id>/take-back")
def take_back(file_id: int) -> ResponseReturnValue:
    moved = documents().take_back(file_id)
    return told_back([moved])


@blueprint.get("/documents/files/<int:file_id>/seen")
def seen(file_id: int) -> ResponseReturnValue:
    """The printable list of who saw a document."""
    file, rows = documents().seen_by(file_id)
    _, context = pages.patient_page(file.patient_id, "activity")
    return render_template("records/seen.html", file=pages.file_view(file), rows=rows, **context)


def answer(record_type: RecordType, record_id: int, ids: Sequence[int], *, always: bool = False) -> ResponseReturnValue:
    """Move documents of a record to the record that the form names; without one, show where they can be moved."""
    target = _target()
    if target is None:
        if always:
            raise Rejected(gettext("Choose a record first."))
        return choose(record_type, record_id, ids)
    records().editable(record_type, record_id)
    results = documents().move_many(ids, *target)
    refused = [result for result in results if result.error]
    if always and refused:
        raise refused[0].error or NotFound()
    moved = [result for result in results if not result.error]
    if not moved:
        error = refused[0].error or NotFound()
        message = gettext("Nothing was moved. %(reason)s", reason=error.message)
        return choose(record_type, record_id, ids, message=message, status=status_of(error))
    notices.say(_sentence(moved, *target), _undo(moved, *target))
    _say_refused(refused, N_("%(name)s was not moved."))
    return redirect(pages.next_url(record_type, record_id), 303)


def told_back(results: Sequence[Moved]) -> ResponseReturnValue:
    """Respond after moves were undone."""
    back = [result for result in results if not result.error]
    for result in back[:1]:
        notices.say(
            ngettext(
                "“%(name)s” is back where it was.", "%(num)s documents are back where they were.", len(back),
                name=result.file_name,
            )
        )  # fmt: skip
    if any(result.elsewhere for result in back):
        flash(gettext("Their record is full or in the trash, so they are among the patient’s general documents."), "ok")
    _say_refused([result for result in results if result.error], N_("%(name)s was not moved back."))
    if not back:
        return redirect(url_for("records.home"), 303)
    file = documents().get(back[0].file_id)
    return redirect(pages.next_url(services().registry[file.entity_type], file.entity_id), 303)


def choose(
    record_type: RecordType, record_id: int, ids: Sequence[int], *, message: str = "", status: int = 200
) -> ResponseReturnValue:
    """Show the patients and records that documents can be moved to."""
    files = documents().movable(record_type, record_id, ids)
    source = records().patient(files[0].patient_id)
    person = _person(source)
    words, who = request.values.get("q", "").strip(), _who()
    people, more_people = _people(source, who)
    found, has_more = record_moves().places(person.patient.id, words, MOST_PLACES)
    view = views.patient_view(person.patient, person.level)
    counts = _counts(found)
    places = [_place(kind, record, view, counts[kind.name][record.id], files) for kind, record in found]
    if not words:
        places.insert(0, _general(view, files))
    here = f"{record_type.name}:{record_id}"
    context = {
        "files": views.file_views(files), "person": view, "source": views.patient_view(source.patient, source.level),
        "people": people, "who": who, "more_people": more_people,
        "places": [place for place in places if place.value != here], "words": words,
        "has_more": has_more, "gives_away": person.patient.user_id != source.patient.user_id, "message": message,
        "back": _back(record_type, record_id), "type": record_type, "record_id": record_id,
    }  # fmt: skip
    return render_template("documents/move.html", **context), status


def moved_away(patient_id: int) -> list[Away]:
    """Return what can be taken back from patients of other owners; by name only what the reader can see there."""
    found = documents().moved_away(patient_id)
    records_away = {(move.from_type, move.from_id) for move, _ in found if move.file_id is None}
    shown = []
    for move, is_visible in found:
        if move.file_id is None:
            noun = services().registry[move.from_type].noun
            action = url_for("moving.take_back_record", type=services().registry[move.from_type], id=move.from_id)
            shown.append(Away(gettext("A %(record)s moved away", record=noun), move.moved_at, action))
        elif (move.to_type, move.to_id) not in records_away or move.to_type != move.from_type:
            name = documents().get(move.file_id).file_name if is_visible else gettext("A document moved away")
            shown.append(Away(name, move.moved_at, url_for("moving.take_back", file_id=move.file_id)))
    return shown


@blueprint.get("/<record_kind:type>/<int:id>/move")
def choose_patient(type: RecordType, id: int) -> ResponseReturnValue:
    """Show the patients that a record can be moved to."""
    return _choose_patient(type, id)


@blueprint.post("/<record_kind:type>/<int:id>/move")
@rate_limited(BULK)
def move_record(type: RecordType, id: int) -> ResponseReturnValue:
    patient_id = parameters.read_id(request.form.get("patient"))
    if patient_id is None:
        records().editable(type, id)
        raise Rejected(gettext("Choose a patient first."))
    record, number = record_moves().move(type, id, patient_id)
    name = records().patient(patient_id).patient.full_name
    message = gettext("“%(title)s” moved to %(name)s.", title=type.title_of(record), name=name)
    if number:
        message = ngettext(
            "“%(title)s” and its document moved to %(name)s.",
            "“%(title)s” and its %(num)s documents moved to %(name)s.",
            number, title=type.title_of(record), name=name,
        )  # fmt: skip
    undo = Undo(url_for(".take_back_record", type=type, id=id), gettext("move it back"))
    notices.say(message, undo)
    return redirect(url_for("records.record", type=type, id=id), 303)


@blueprint.post("/<record_kind:type>/<int:id>/take-back")
def take_back_record(type: RecordType, id: int) -> ResponseReturnValue:
    record = record_moves().take_back(type, id)
    notices.say(gettext("“%(title)s” is back with its documents.", title=type.title_of(record)))
    return redirect(url_for("records.record", type=type, id=id), 303)


def _choose_patient(record_type: RecordType, record_id: int) -> ResponseReturnValue:
    record = records().editable(record_type, record_id)
    require_editable(record_type, record)
    source = records().patient(record.patient_id)
    who = _who()
    found, more_people = _people(source, who)
    context = {
        "record": pages.record_view(record_type, record), "type": record_type, "who": who, "more_people": more_people,
        "people": [one for one in found if one[0].id != source.patient.id],
    }  # fmt: skip
    return render_template("records/move.html", **context)


def _target() -> tuple[RecordType, int] | None:
    """Return the record that the form names by `to_type` and `to_id`, or by `place` as one value."""
    name, _, number = request.form.get("place", "").partition(":")
    name, number = request.form.get("to_type", name), request.form.get("to_id", number)
    if not name and not number:
        return None
    record_id = parameters.read_id(number)
    if record_id is None:
        raise Rejected(gettext("Choose a record first."))
    return services().registry[name], record_id


def _person(source: Summary) -> Summary:
    """Return the patient that was chosen, at first the documents' own."""
    chosen = parameters.read_id(request.values.get("patient"))
    return records().patient(chosen) if chosen and chosen != source.patient.id else source


def _who() -> str:
    """Return the name or birth date that is searched among the patients."""
    return clean_text(request.values.get("who"), SEARCH_LIMIT, "The search term (“who”)") or ""


def _people(source: Summary, who: str) -> tuple[list[tuple[views.PatientView, bool]], bool]:
    """Return the patients that the documents can be moved to, and whether there are more of them.

    Each comes with whether another account owns the patient. Without a search, the documents' own patient is the first.
    """
    if who:
        found, _, following = records().find_people(who, None, MOST_FOUND)
        has_more = following is not None
    else:
        found, has_more = records().shown_people(MOST_PEOPLE)
    others = [one for one in found if one.patient.id != source.patient.id and one.level != Action.VIEW]
    fits = [one for one in others if one.patient.user_id == source.patient.user_id or source.level == Action.OWN]
    shown = fits[:MOST_PEOPLE] if who else [source, *fits]
    people = [
        (views.patient_view(one.patient, one.level), one.patient.user_id != source.patient.user_id) for one in shown
    ]
    return people, has_more or len(shown) < len(fits)


def _counts(found: Sequence[tuple[RecordType, Any]]) -> dict[str, Any]:
    kinds = {kind.name: kind for kind, _ in found}
    return {
        name: documents().count(kind, [record.id for of, record in found if of is kind]) for name, kind in kinds.items()
    }


def _place(kind: RecordType, record: Any, patient: views.PatientView, count: int, files: Sequence[Any]) -> Place:
    view = views.record_view(kind, record, patient, count)
    return Place(f"{kind.name}:{record.id}", view, count, count + 1 > kind.max_files, *_fit(kind, files))


def _general(patient: views.PatientView, files: Sequence[Any]) -> Place:
    kind = services().registry.patient
    count = documents().count(kind, [patient.id]).get(patient.id, 0)
    return Place(f"{kind.name}:{patient.id}", None, count, count + 1 > kind.max_files, *_fit(kind, files))


def _fit(kind: RecordType, files: Sequence[Any]) -> tuple[int, list[str]]:
    """Return how many of the documents the record does not take, and the labels of categories it does not have."""
    registry, refused, lost = services().registry, 0, []
    for file in files:
        try:
            move_rules.require_accepted(kind, file)
        except MedfilesError:
            refused += 1
            continue
        if file.category and file.category not in kind.categories:
            lost.append(registry[file.entity_type].category_label(file.category))
    return refused, list(dict.fromkeys(lost))


def _sentence(moved: Sequence[Moved], record_type: RecordType, record_id: int) -> str:
    record = records().get(record_type, record_id)
    person = records().patient(record.patient_id).patient.full_name
    is_patient = record_type is services().registry.patient
    place = gettext("the general documents of %(name)s", name=person)
    if not is_patient:
        place = gettext("“%(title)s” of %(name)s", title=record_type.title_of(record), name=person)
    parts = [ngettext(*DONE, len(moved), name=moved[0].file_name, place=place)]
    if lost := list(dict.fromkeys(result.category for result in moved if result.category)):
        labels = ", ".join(services().registry.patient.category_label(name) for name in lost)
        parts.append(gettext("There is no such category there, so it was cleared: %(names)s.", names=labels))
    ids = {result.file_id for result in moved}
    if twins := [result for result in moved if result.twin and result.twin.id not in ids]:
        parts.append(gettext("The same file was already there: “%(name)s”.", name=twins[0].twin.file_name))  # type: ignore[union-attr]
    return " ".join(parts)


def _undo(moved: Sequence[Moved], record_type: RecordType, record_id: int) -> Undo:
    ids = ",".join(str(result.file_id) for result in moved)
    label = ngettext("move %(num)s document back", "move %(num)s documents back", len(moved))
    action = url_for("documents.bulk", type=record_type, id=record_id)
    return Undo(action, label, (("action", "take-back"), ("file_ids", ids)))


def _say_refused(refused: Sequence[Moved], lead: str) -> None:
    for result in refused[:MOST_FAILED]:
        name = result.file_name or gettext("A document")
        flash(f"{gettext(lead, name=name)} {result.error.message if result.error else ''}", "error")
    if left := refused[MOST_FAILED:]:
        flash(ngettext("%(num)s more document failed.", "%(num)s more documents failed.", len(left)), "error")


def _back(record_type: RecordType, record_id: int) -> str:
    """Return the URL of the page that shows the record's documents."""
    if record_type is services().registry.patient:
        return url_for("documents.manager", type=record_type, id=record_id)
    return url_for("records.record", type=record_type, id=record_id)
