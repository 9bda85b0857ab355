"""Suggest where a document belongs: record, category, date and name, each with the reason.

The same documents and records always give the same suggestions, and nothing leaves the machine.
"""

import re
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import date
from enum import StrEnum

from medfiles.i18n import gettext
from medfiles.inbox.contents import Contents
from medfiles.inbox.scoring import STEM, Candidate, score, weights_of
from medfiles.inbox.words import TYPE_HINTS
from medfiles.models import EntityFile
from medfiles.record_types.declared import RecordType, Registry
from medfiles.text import fold, split_extension

ENOUGH, SURE, CLEAR = 4.0, 7.5, 2.0  # scores of a record: to suggest it, to be sure, and ahead of the next one


class Confidence(StrEnum):
    """How certain a suggestion is. Only sure and likely ones are selected beforehand."""

    SURE = "sure"
    LIKELY = "likely"
    CHECK = "check"


@dataclass(frozen=True)
class Filed:
    """What an earlier document of the patient was called, and where it was filed."""

    name: str  # without digits
    record_type: str
    category: str | None


@dataclass(frozen=True)
class Suggestion:
    """Where a document may belong. `record_id` is that of the patient for general documents, None if unknown.

    reasons  sentences by what they explain: record, category, document_date, file_name
    """

    record_type: RecordType | None
    record_id: int | None
    record_title: str | None
    category: str | None
    document_date: date | None
    file_name: str | None  # None: the name is good as it is
    confidence: Confidence
    reasons: Mapping[str, str] = field(default_factory=dict)


def name_pattern(file_name: str) -> str:
    """Return a name without its extension, digits and spaces: what documents of one kind have in common."""
    return re.sub(r"[\W\d_]+", "", fold(split_extension(file_name)[0]))


def suggest(
    contents: Contents, patient_id: int, candidates: Sequence[Candidate], filed: Sequence[Filed], registry: Registry
) -> Suggestion:
    """Return the suggestion for a document among the records of one patient."""
    kinds = contents.categories(registry.categories)
    earlier = _earlier(contents.file, filed)
    was_filed_as = earlier.record_type if earlier else None
    weights = weights_of(candidates)
    fitting = [each for each in candidates if _takes(each.record_type, contents.file)]
    scored = [(*score(each, contents, weights, kinds, was_filed_as), each) for each in fitting]
    scored.sort(key=lambda row: (-row[0], -(row[2].day or date.min).toordinal(), row[2].id))
    general = _fits_patient(kinds, registry)
    if scored and scored[0][0] >= ENOUGH and not (general and scored[0][0] < SURE):
        points, why, best = scored[0]
        ahead = points - (scored[1][0] if len(scored) > 1 else 0.0)
        confidence = Confidence.SURE if points >= SURE and ahead >= CLEAR else Confidence.LIKELY
        if ahead < CLEAR / 4:
            confidence = Confidence.CHECK
        made = _made(contents, best.record_type, best.id, best.title, confidence, kinds, earlier)
        return replace(made, reasons={"record": why, **made.reasons})
    if general:
        made = _made(contents, registry.patient, patient_id, None, Confidence.LIKELY, kinds, earlier)
        reason = gettext("It belongs to no single visit or result.")
        return replace(made, reasons={"record": reason, **made.reasons})
    return _made(contents, None, None, None, Confidence.CHECK, kinds, earlier)


def category_for(contents: Contents, record_type: RecordType, filed: Sequence[Filed]) -> str | None:
    """Return the category for a document that is filed with a record of this type."""
    return _category(contents, record_type, contents.categories(record_type.categories), _earlier(contents.file, filed))


def _takes(record_type: RecordType, file: EntityFile) -> bool:
    extension = split_extension(file.file_name)[1].lower()
    return extension in record_type.takes and file.file_size <= record_type.max_size


def _fits_patient(kinds: Mapping[str, float], registry: Registry) -> bool:
    best = max(kinds, key=lambda kind: kinds[kind], default=None)
    return best is not None and best in TYPE_HINTS["patient"] and best in registry.patient.categories


def _earlier(file: EntityFile, filed: Sequence[Filed]) -> Filed | None:
    """Return where documents of the same name went, unless the name says nothing."""
    wanted = name_pattern(file.file_name)
    alike = [each for each in filed if each.name == wanted]
    if len(wanted) < STEM or not alike:
        return None
    [(most, _)] = Counter(alike).most_common(1)
    return most


def _category(
    contents: Contents, record_type: RecordType, kinds: Mapping[str, float], earlier: Filed | None
) -> str | None:
    among = {name: score for name, score in kinds.items() if name in record_type.categories}
    if among:
        return max(among, key=lambda name: among[name])
    if earlier and earlier.record_type == record_type.name and earlier.category in record_type.categories:
        return earlier.category
    if contents.file.file_type.startswith(("image/", "application/dicom")) and not contents.text.strip():
        return next((name for name in ("image", "card") if name in record_type.categories), None)
    return None


def _made(
    contents: Contents,
    record_type: RecordType | None,
    record_id: int | None,
    title: str | None,
    confidence: Confidence,
    kinds: Mapping[str, float],
    earlier: Filed | None,
) -> Suggestion:
    """Return the suggestion for a record, with the details that do not depend on which record it is."""
    file, reasons = contents.file, dict[str, str]()
    category = file.category
    if category is None and record_type is not None:
        category = _category(contents, record_type, kinds, earlier)
        if category in kinds:
            line = contents.heading(category)
            reasons["category"] = (
                gettext("It is headed “%(words)s”.", words=line) if line else gettext("Its words are those of one.")
            )
        elif category:
            reasons["category"] = gettext("Documents with similar names were filed so.")
    day = contents.day
    if day and file.document_date is None:
        words = contents.before_date(day)
        if words:
            reasons["document_date"] = gettext("The date is beside “%(words)s”.", words=words)
        else:
            reasons["document_date"] = (
                gettext("The date is in the text.") if words == "" else gettext("The date is in the name or the file.")
            )
    name = None
    if contents.has_generic_name and (heading := contents.heading(category) or contents.heading(None)):
        name = heading + split_extension(file.file_name)[1]
        reasons["file_name"] = gettext("The document is headed so.")
    return Suggestion(record_type, record_id, title, category, day, name, confidence, reasons)


def chosen(
    suggestion: Suggestion,
    contents: Contents,
    record_type: str,
    record_id: int,
    candidates: Sequence[Candidate],
    registry: Registry,
) -> Suggestion:
    """Return the suggestion for a record that was chosen."""
    kind = registry[record_type]
    title = next((each.title for each in candidates if (each.record_type, each.id) == (kind, record_id)), None)
    kinds = contents.categories(kind.categories)
    made = _made(contents, kind, record_id, title, Confidence.SURE, kinds, None)
    return replace(made, file_name=suggestion.file_name)


def with_people(suggestion: Suggestion, *, has_other: bool, is_certain: bool) -> Suggestion:
    """Return the suggestion, less certain if the document does not say whose it is, or names someone else."""
    if has_other:
        return replace(suggestion, confidence=Confidence.CHECK)
    if not is_certain and suggestion.confidence == Confidence.SURE:
        return replace(suggestion, confidence=Confidence.LIKELY)
    return suggestion
