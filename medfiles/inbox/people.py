"""Find out whose document it is: names and birth dates of patients in a text, the labels before them, the file name."""

import re
from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import date
from itertools import pairwise

from medfiles.inbox.words import OTHER_PERSON, SUBJECT
from medfiles.text import fold
from medfiles.texts import dates

TOKEN = re.compile(r"[^\W_]+")
MIDDLE = 2  # names or initials between the first and the last name
BEFORE = 60  # characters, in which the label of a name is looked for
NEAR = 120  # characters between a name and a birth date that belong together
FUZZY = 200  # people: among more, names must be spelled exactly
LEAST_FUZZY = 5  # letters of a word in which one may be misread
NAMED, LIKELY_NAMED, LABELED, OF_ANOTHER, MENTIONED, FIRST_NAME = 4.0, 3.0, 3.0, -3.0, 0.5, 1.5
BORN, BORN_NEARBY, DATED, BORN_OTHERWISE = 5.0, 4.0, 1.0, -3.0
ENOUGH, BETTER = 4.0, 2.0  # score of a document that names someone, and by how much more than someone else


@dataclass(frozen=True)
class Person:
    """A patient, as far as a document can name one."""

    id: int
    first_name: str
    last_name: str
    birth_date: date


@dataclass
class Evidence:
    """How well a document matches a person, and why."""

    score: float = 0.0
    name: bool = False
    birth_date: bool = False
    page: int = 1  # of the first hit


@dataclass
class _Text:
    text: str  # folded
    tokens: Sequence[tuple[str, int, int]] = ()
    names: dict[int, list[tuple[int, float]]] = field(default_factory=lambda: defaultdict(list))  # start and score


def evidence(
    pages: Sequence[str], file_name: str, people: Sequence[Person], today: date, order: str | None = None
) -> Mapping[int, Evidence]:
    """Return the evidence for each person for whom there is any, by id.

    order  which part of 3/4/2019 comes first in the account's dates; None: not known
    """
    found: dict[int, Evidence] = defaultdict(Evidence)
    labeled: set[tuple[date, ...]] = set()
    for number, page in enumerate(pages, 1):
        text = _read(fold(page))
        for person_id, name, score in _names(text, people):
            text.names[person_id].append((name, score))
        _add_names(text, number, found)
        labeled |= _add_births(text, number, people, today, order, found)
    _subtract_others(people, labeled, found)
    _add_file_name(file_name, people, found)
    return {person_id: each for person_id, each in found.items() if each.score > 0}


def better_match(found: Mapping[int, Evidence], chosen: int) -> int | None:
    """Return whom a document names rather than the chosen person, or None if it is the chosen one's, or no one's."""
    others = [(each.score, person_id) for person_id, each in found.items() if person_id != chosen]
    score, other = max(others, default=(0.0, 0))
    own = found[chosen].score if chosen in found else 0.0
    return other if score >= ENOUGH and score >= own + BETTER else None


def is_certain(found: Mapping[int, Evidence], chosen: int) -> bool:
    """Return whether a document names the chosen person, and no one else as well."""
    own = found[chosen].score if chosen in found else 0.0
    others = max((each.score for person_id, each in found.items() if person_id != chosen), default=0.0)
    return own >= ENOUGH and own >= others + BETTER


def _read(text: str) -> _Text:
    return _Text(text, [(match[0], match.start(), match.end()) for match in TOKEN.finditer(text)])


def _names(text: _Text, people: Sequence[Person]) -> Iterator[tuple[int, int, float]]:
    """Yield id, start and score of each full name, in either order, with middle names or initials."""
    is_fuzzy = len(people) <= FUZZY
    words = {token for token, _, _ in text.tokens}
    exact: dict[int, int] = {}
    similar: list[tuple[int, int]] = []
    for person in people:
        first, last = _parts(person.first_name), _parts(person.last_name)
        if not first or not last or (not is_fuzzy and not (words & {first[0]} and words & {last[-1]})):
            continue
        places = list(_places(text.tokens, first[0], last, fuzzy=False))
        for place, start in places:
            exact[place] = person.id
            yield person.id, start, NAMED
        if is_fuzzy and not places:
            similar += [(place, person.id) for place, _ in _places(text.tokens, first[0], last, fuzzy=True)]
    for place, person_id in similar:
        if place not in exact:
            yield person_id, text.tokens[place][1], LIKELY_NAMED


def _parts(name: str) -> list[str]:
    return TOKEN.findall(fold(name))


def _places(
    tokens: Sequence[tuple[str, int, int]], first: str, last: Sequence[str], *, fuzzy: bool
) -> Iterator[tuple[int, int]]:
    """Yield place and start of each name: "Ben Sample", "Ben J. Sample", "Sample, Ben"."""

    words = [token for token, _, _ in tokens]

    def same(found: Sequence[str], wanted: Sequence[str]) -> bool:
        return len(found) == len(wanted) and all(
            token == word or (fuzzy and _is_misread(token, word)) for token, word in zip(found, wanted, strict=True)
        )

    for place, (_, start, _) in enumerate(tokens):
        if same(words[place : place + 1], [first]):
            follows = range(place + 1, place + 2 + MIDDLE)
            if any(same(words[after : after + len(last)], last) for after in follows):
                yield place, start
        elif same(words[place : place + len(last) + 1], [*last, first]):
            yield place, start


def _is_misread(token: str, word: str) -> bool:
    """Return whether two words differ in one letter, as when it was recognized in a photo."""
    if min(len(token), len(word)) < LEAST_FUZZY or abs(len(token) - len(word)) > 1:
        return False
    shorter, longer = sorted((token, word), key=len)
    same = next((n for n, letter in enumerate(shorter) if letter != longer[n]), len(shorter))
    return shorter[same + (len(shorter) == len(longer)) :] == longer[same + 1 :]


def _add_names(text: _Text, page: int, found: dict[int, Evidence]) -> None:
    for person_id, places in text.names.items():
        scores = [score + _label(text.text, start) for start, score in places]
        each = found[person_id]
        if not each.name:
            each.page = page
        each.name = True
        repeated = MENTIONED * min(2, sum(score >= LIKELY_NAMED for score in scores) - 1)
        each.score = max(each.score, max(scores) + max(0.0, repeated))


def _label(text: str, start: int) -> float:
    before = text[max(0, start - BEFORE) : start]
    if OTHER_PERSON.search(before):
        return OF_ANOTHER
    return LABELED if SUBJECT.search(before) else 0.0


def _add_births(
    text: _Text, page: int, people: Sequence[Person], today: date, order: str | None, found: dict[int, Evidence]
) -> set[tuple[date, ...]]:
    """Add birth dates to the evidence. Return the dates that the text calls birth dates."""
    by_day: dict[date, list[Person]] = defaultdict(list)
    for person in people:
        by_day[person.birth_date].append(person)
    all_mentions = dates.mentions(text.text, order, today)
    labeled = set()
    best: dict[int, float] = {}
    for previous, mention in pairwise([None, *all_mentions]):
        assert mention is not None  # only the first of the pairs lacks a predecessor
        before = text.text[max(previous.end if previous else 0, mention.start - BEFORE) : mention.start]
        is_birth = dates.BIRTH.search(before) is not None
        if is_birth:
            labeled.add(mention.days)
        for person in (person for day in mention.days for person in by_day.get(day, ())):
            is_near = any(abs(mention.start - start) < NEAR for start in _first_names(text, person))
            score = BORN if is_birth else BORN_NEARBY if is_near else DATED
            best[person.id] = max(best.get(person.id, 0.0), score - 0.5 * (len(mention.days) > 1))
    for person_id, score in best.items():
        each = found[person_id]
        if score > DATED and not each.birth_date:
            each.birth_date = True
            each.score += score
        elif score == DATED and each.name:
            each.score += score
    return labeled


def _first_names(text: _Text, person: Person) -> Iterator[int]:
    """Yield where the person's name or first name starts."""
    yield from (start for start, _ in text.names.get(person.id, ()))
    first = _parts(person.first_name)[:1]
    yield from (start for token, start, _ in text.tokens if [token] == first)


def _subtract_others(people: Iterable[Person], labeled: set[tuple[date, ...]], found: dict[int, Evidence]) -> None:
    """Count against a person if the document says when someone was born, and it was another day."""
    if not labeled:
        return
    known = {person.id: person for person in people}
    for person_id, each in found.items():
        if each.name and not any(known[person_id].birth_date in days for days in labeled):
            each.score += BORN_OTHERWISE


def _add_file_name(file_name: str, people: Sequence[Person], found: dict[int, Evidence]) -> None:
    words = set(_parts(file_name))
    shared = [person for person in people if (parts := _parts(person.first_name)) and parts[0] in words]
    for person in shared:
        has_last = bool(words & set(_parts(person.last_name)))
        if has_last or len(shared) == 1:
            found[person.id].score += LIKELY_NAMED if has_last else FIRST_NAME
            found[person.id].name |= has_last
