"""Say how well a document fits a record of a patient: by days, words, places and the kind of document."""

import math
import re
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import date

from medfiles.i18n import gettext
from medfiles.inbox.contents import Contents
from medfiles.inbox.words import STOP, TYPE_HINTS
from medfiles.models import RecordMixin
from medfiles.record_types.declared import RecordType
from medfiles.text import fold

LEAST_LETTERS = 3  # of a title's word
STEM = 4  # letters from which a longer word of the text also counts: "Knie" in "Kniegelenk"
SAME_DAY, DAY_IN_TEXT, NEAR_DAY, RECENT_DAY, OTHER_DAY = 5.0, 3.0, 2.5, 1.0, -1.5
NEAR, RECENT, FAR = 3, 14, 60  # days
TITLE, PHRASE, PLACE, SURNAME, DETAILS = 6.0, 1.0, 2.0, 1.5, 1.5
HINTED, HINTED_ELSEWHERE, FILED_BEFORE = 2.5, -1.5, 1.5
PLACES = ("location", "facility", "company_name", "practitioner", "plan_name", "member_id")
MORE = ("diagnosis", "description", "chief_complaint", "treatment_plan", "outcome", "labs_result", "test_category")
WORD = re.compile(r"[^\W_]+")


@dataclass(frozen=True)
class Candidate:
    """A record of a patient, as far as a document can match it."""

    record_type: RecordType
    id: int
    title: str
    day: date | None
    days: frozenset[date]
    words: frozenset[str]  # of the title
    phrase: str
    places: Sequence[str]
    details: frozenset[str]


def candidate(record_type: RecordType, record: RecordMixin) -> Candidate:
    def text_of(names: Iterable[str]) -> list[str]:
        return [fold(str(value)) for name in names if (value := getattr(record, name, None))]

    title = record_type.title_of(record)
    days = frozenset(day for name in record_type.date_fields if (day := getattr(record, name)))
    return Candidate(
        record_type, record.id, title, record_type.date_of(record), days, frozenset(words_of(title)),
        " ".join(WORD.findall(fold(title))), text_of(PLACES), frozenset(words_of(" ".join(text_of(MORE)))),
    )  # fmt: skip


def words_of(text: str) -> list[str]:
    return [word for word in WORD.findall(fold(text)) if len(word) >= LEAST_LETTERS and word not in STOP]


def weights_of(candidates: Sequence[Candidate]) -> Mapping[str, float]:
    """Return how much each word of a title tells the records of a patient apart."""
    counts = Counter(word for each in candidates for word in each.words)
    return {word: math.log(1 + len(candidates) / count) for word, count in counts.items()}


def score(
    each: Candidate,
    contents: Contents,
    weights: Mapping[str, float],
    kinds: Mapping[str, float],
    was_filed_as: str | None,
) -> tuple[float, str]:
    """Return how well a record fits, and the sentence for what speaks most for it.

    was_filed_as  the record type under which documents with similar names were filed
    """
    reasons: list[tuple[float, str]] = []
    shown = {"record": each.record_type.noun, "title": each.title}
    by_day = _by_day(each, contents)
    if by_day > 0 and each.day:
        near = gettext("It is dated within days of the %(record)s “%(title)s”.", **shown)
        reasons.append((by_day, gettext("It names the day of the %(record)s “%(title)s”.", **shown)))
        if by_day <= NEAR_DAY:
            reasons[-1] = (by_day, near)
    share = _share(each.words, contents.words, weights)
    by_title = TITLE * share + (PHRASE if each.phrase and each.phrase in _plain(contents) else 0.0)
    if by_title:
        reasons.append((by_title, gettext("Words of “%(title)s” are in it.", **shown)))
    by_place = sum(_place(place, contents.text) for place in each.places)
    if by_place:
        reasons.append((by_place, gettext("It names the same place or clinician as “%(title)s”.", **shown)))
    by_details = DETAILS * _share(each.details, contents.words, {})
    by_type = _by_type(each.record_type, kinds)
    if was_filed_as == each.record_type.name:
        by_type += FILED_BEFORE
    total = by_day + by_title + by_place + by_details + by_type
    return total, max(reasons, default=(0.0, ""))[1]


def _by_day(each: Candidate, contents: Contents) -> float:
    day = contents.day
    if day and day in each.days:
        return SAME_DAY
    if each.days & contents.days:
        return DAY_IN_TEXT + (RECENT_DAY if day and each.day and abs((day - each.day).days) <= RECENT else 0.0)
    if not day or not each.day:
        return 0.0
    apart = abs((day - each.day).days)
    return NEAR_DAY if apart <= NEAR else RECENT_DAY if apart <= RECENT else OTHER_DAY if apart > FAR else 0.0


def _share(words: Iterable[str], among: frozenset[str], weights: Mapping[str, float]) -> float:
    """Return which part of the words is in the text, by weight."""
    wanted = {word: weights.get(word, 1.0) for word in words}
    if not wanted:
        return 0.0
    has = sum(weight for word, weight in wanted.items() if _occurs(word, among))
    return has / sum(wanted.values())


def _occurs(word: str, among: frozenset[str]) -> bool:
    return word in among or (len(word) >= STEM and any(other.startswith(word) for other in among))


def _place(place: str, text: str) -> float:
    if place in text:
        return PLACE
    surname = (WORD.findall(place) or [""])[-1]
    return SURNAME if len(surname) >= STEM and re.search(rf"\b(?:dr|prof|med)\b.{{0,30}}\b{surname}\b", text) else 0.0


def _plain(contents: Contents) -> str:
    return " ".join(WORD.findall(contents.text + " " + contents.name))


def _by_type(record_type: RecordType, kinds: Mapping[str, float]) -> float:
    """Return what the kind of document says about the type of its record."""
    best = max(kinds, key=lambda kind: kinds[kind], default=None)
    if best is None:
        return 0.0
    hinted = {name for name, categories in TYPE_HINTS.items() if best in categories}
    if record_type.name in hinted:
        return HINTED
    if hinted:
        return HINTED_ELSEWHERE
    return HINTED / 2 if best in record_type.categories else 0.0
