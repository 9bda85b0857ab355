"""Find the date of a document in its text or name, in English, German, French and Spanish.

Only what can be read in one way is a date: 12.3.2019, because dots mean that the day comes first, but 3/4/2019 only for
an account that has said which of the two is the day.
"""

import re
from collections.abc import Collection, Iterator, Sequence
from dataclasses import dataclass
from datetime import date

from medfiles.text import fold

DAY_FIRST, MONTH_FIRST = "dmy", "mdy"
FIRST_YEAR = 1900
NAMES = (
    "january janvier januar janner enero jan janv ene",
    "february fevrier februar febrero feber feb fevr fev",
    "march mars marz maerz marzo mar mrz",
    "april avril abril apr avr abr",
    "may mai mayo",
    "june juin juni junio jun",
    "july juillet juli julio jul juil",
    "august aout agosto aug ago",
    "september septembre septiembre setiembre sep sept set",
    "october octobre oktober octubre oct okt",
    "november novembre noviembre nov",
    "december decembre dezember diciembre dec dez dic",
)
MONTHS = {name: month for month, names in enumerate(NAMES, 1) for name in names.split()}
_MONTH = "(" + "|".join(sorted(MONTHS, key=len, reverse=True)) + r")\b\.?"
_YEAR = r"(\d{4}|\d\d)(?!\d|[.,]\d)"
YEAR_FIRST = re.compile(r"(?<![\d./-])(\d{4})([-/.])(\d{1,2})\2(\d{1,2})(?!\d|[./-]\d)")
DOTTED = re.compile(r"(?<![\d.,])(\d{1,2})\. ?(\d{1,2})\. ?" + _YEAR)
DAY_MONTH = re.compile(
    r"(?<![\d.,])(\d{1,2})(?:\.|st|nd|rd|th|er|o)?[ \n]?(?:de |of |- ?)?[ \n]?" + _MONTH
    + r",?[ \n]?(?:de |del |- ?)?(\d{4})(?!\d)"
)  # fmt: skip
MONTH_DAY = re.compile(r"\b" + _MONTH + r"[ \n]?(\d{1,2})(?:st|nd|rd|th)?,?[ \n](\d{4})(?!\d)")
SLASHED = re.compile(r"(?<![\d/.,-])(\d{1,2})([/-])(\d{1,2})\2(\d{4}|\d\d)(?!\d|[/-]\d|[.,]\d)")
COMPACT = re.compile(r"(?<!\d)((?:19|20)\d\d)(\d\d)(\d\d)(?!\d)")

BIRTH = re.compile(
    r"(\bborn|\bbirth|\bd\.? ?o\.? ?b\b|\bgeb\b|\bgeboren|\bgeburt|\*|\bne[e]?(\(e\))? le|\bnaissance|\bnacid[oa]"
    r"|\bnacimiento|\bf\. ?nac|\bfn\b)"
)
OWN_DATE = re.compile(
    r"(\bdated?( of (the )?(report|letter|issue|invoice|document|prescription))?|\b\w*datum|\bdate d\w+( \w+)?"
    r"|\bfecha( del? \w+)?|\bissued( on)?|\bfait( a \w+)?,? le|\bwritten on|\breported( on)?|\bausgestellt( am)?"
    r"|\berstellt( am)?|\bemitid[oa]( el)?|\bemis le|\bdruckdatum)[ :.\-]*$"
)
PLACE = re.compile(r"^\W*[^\W\d][^\d,;:]{1,40}, ?(den|le|a|el|am|the)? ?$")
EXAMINED = re.compile(
    r"\b(examined|examination|exam|seen|visit|consultation|collected|sampled|performed|admitted|discharged|untersuch\w*"
    r"|entnahme\w*|entnommen|behandlung\w*|vorgestellt|aufnahme|examen|consulte|vu|vue|prelevement|preleve|realise"
    r"|exploracion|extraccion|consulta|realizad[oa]|visto)\b( \w+){0,2}[ :.,\-]*$"
)
OTHER = re.compile(
    r"\b(due|valid|expir\w*|until|appointment|next|follow-up|since|from|previous|prior|last|before|after|between|to"
    r"|gultig\w*|bis|termin\w*|nachst\w*|kontroll\w*|wiedervorstellung|fallig\w*|zahlbar|seit|ab|vom|von|zuletzt|vor\w*"
    r"|nach|valable|expire|jusqu\w*|rendez-vous|rdv|prochain\w*|echeance|depuis|precedent\w*|dernier\w*|du|au"
    r"|valid[oa]|caduc\w*|hasta|cita|proxim[oa]|vencimiento|desde|anterior|previ[oa]|ultim[oa]|del)\b"
    r"( \w+){0,3}[ :.,\-]*$"
)
MAX_MENTIONS = 200  # of a page
HEAD_LINES, FOOT_LINES = 14, 6
LONG_LINE = 8  # words
OWN_SCORE = 20  # of a date that the text calls that of the document
LEAST = 3  # score: below, a date is only mentioned
MANY = 8  # different dates: a list, not a letter


@dataclass(frozen=True)
class Mention:
    """A date in a text: the days it can mean, and where it is."""

    days: tuple[date, ...]
    start: int
    end: int


def mentions(text: str, order: str | None = None, today: date | None = None) -> list[Mention]:
    """Return the dates in a folded text from start to end. Several days: the text does not say which one is meant.

    order  which part of 3/4/2019 comes first; None: not known
    today  two-digit years are not after it
    """
    found: list[Mention] = []
    for start, end, days in _matches(text, order, today or date.max):
        if days and not any(start < other.end and other.start < end for other in found):
            found.append(Mention(days, start, end))
        if len(found) == MAX_MENTIONS:
            break
    return sorted(found, key=lambda mention: mention.start)


def in_text(
    pages: Sequence[str], order: str | None, today: date, not_these: Collection[date], not_before: date | None = None
) -> tuple[date, ...]:
    """Return the date of a letter or report: nothing if there is none, two days if it can be read in two ways.

    not_these   birth dates of people
    not_before  the patient's birth date
    """
    scores: dict[tuple[date, ...], int] = {}
    births = set(not_these)
    places: list[tuple[Mention, str, int, int, bool]] = []
    for number, page in enumerate(pages):
        text = fold(page)
        page_mentions = mentions(text, order, today)
        for previous, mention in zip([None, *page_mentions], page_mentions, strict=False):
            before = _before(text, mention, previous.end if previous else 0)
            if BIRTH.search(before):
                births.update(mention.days)
            places.append((mention, before, *_place(text, mention, number, len(pages)), _is_alone(text, mention)))
    for mention, before, from_top, from_bottom, alone in places:
        days = mention.days
        if any(day in births for day in days) or not all(day <= today for day in days):
            continue
        if not_before and any(day <= not_before for day in days):
            continue
        score = _score(before, from_top, from_bottom, alone)
        scores[days] = max(scores.get(days, score), score) + (days in scores)
    return _best(scores)


def in_name(name: str, order: str | None, today: date) -> tuple[date, ...]:
    """Return the date in a document's name, as `in_text` does: nothing if there are several."""
    text = fold(name).replace("_", " ")
    days = {mention.days for mention in mentions(text, order, today)}
    for found in COMPACT.finditer(text):
        days |= {valid for valid in [_days((int(found[1]), int(found[2]), int(found[3])))] if valid}
    days = {one for one in days if all(day <= today for day in one)}
    return days.pop() if len(days) == 1 else ()


def _best(scores: dict[tuple[date, ...], int]) -> tuple[date, ...]:
    if not scores:
        return ()
    latest = max(scores, key=lambda days: max(days))
    ranked = {days: score + (days == latest and score >= 0) for days, score in scores.items()}
    best = max(ranked, key=lambda days: ranked[days])  # of equal ones, the first mentioned
    is_list = len(scores) > MANY and ranked[best] < OWN_SCORE
    return best if ranked[best] >= LEAST and not is_list else ()


def _score(before: str, from_top: int, from_bottom: int, alone: bool) -> int:
    score = 4 if from_top < HEAD_LINES else 2 if from_bottom < FOOT_LINES else 0
    score += 6 * alone
    label = before.rstrip()
    if OWN_DATE.search(before) or PLACE.search(before):
        return score + OWN_SCORE
    if EXAMINED.search(before):
        return score + 3
    if OTHER.search(before):
        return score - 12
    return score + (2 if not label else 0)


def _before(text: str, mention: Mention, after: int) -> str:
    """Return what leads up to a date: the start of its line or, if that has no words, the end of the line above."""
    line_start = text.rfind("\n", 0, mention.start) + 1
    same_line = text[max(line_start, after) : mention.start]
    if re.search(r"[^\W\d]|\*", same_line) or line_start < after:
        return same_line[-60:]
    above = _line_above(text, line_start)
    return above[-60:] + " " if _runs_on(above) or (_is_label(above) and not mentions(above)) else ""


def _is_alone(text: str, mention: Mention) -> bool:
    """Return whether a line says nothing else: "12 May 2020" or "Le 12 mai 2020", and does not continue a sentence."""
    line_start, line_end = text.rfind("\n", 0, mention.start) + 1, text.find("\n", mention.end)
    others = text[line_start : mention.start] + text[mention.end : line_end if line_end >= 0 else None]
    return not re.sub(r"\W+|\b(le|den|am|el|on|the)\b", "", others) and not _runs_on(_line_above(text, line_start))


def _line_above(text: str, line_start: int) -> str:
    end = max(line_start - 1, 0)
    return text[text.rfind("\n", 0, end) + 1 : end].rstrip()


def _runs_on(line: str) -> bool:
    """Return whether a line's sentence continues on the next line."""
    return line.endswith(":") or (len(line.split()) >= LONG_LINE and not line.endswith((".", "!", "?")))


def _is_label(line: str) -> bool:
    """Return whether a line can be a heading over the date: a few words."""
    return 0 < len(line.split()) <= 4 and not line.endswith((".", ","))


def _place(text: str, mention: Mention, page: int, pages: int) -> tuple[int, int]:
    """Return how many lines are above the date, and how many below it to the end of the last page."""
    above, below = text.count("\n", 0, mention.start), text.count("\n", mention.end)
    return (above if page == 0 else 10_000), (below if page == pages - 1 else 10_000)


def _matches(text: str, order: str | None, today: date) -> Iterator[tuple[int, int, tuple[date, ...]]]:
    for found in YEAR_FIRST.finditer(text):
        yield found.start(), found.end(), _days((int(found[1]), int(found[3]), int(found[4])))
    for found in DAY_MONTH.finditer(text):
        yield found.start(), found.end(), _days((int(found[3]), MONTHS[found[2]], int(found[1])))
    for found in MONTH_DAY.finditer(text):
        yield found.start(), found.end(), _days((int(found[3]), MONTHS[found[1]], int(found[2])))
    for found in DOTTED.finditer(text):
        yield found.start(), found.end(), _days((_year(found[3], today), int(found[2]), int(found[1])))
    for found in SLASHED.finditer(text):
        year, first, second = _year(found[4], today), int(found[1]), int(found[3])
        day_first, month_first = (year, second, first), (year, first, second)
        wanted = {DAY_FIRST: (day_first,), MONTH_FIRST: (month_first,)}.get(order or "", (day_first, month_first))
        # 25/12/2019 has one meaning, whichever the account usually writes
        yield found.start(), found.end(), _days(*wanted) or _days(day_first, month_first)


def _year(text: str, today: date) -> int:
    if len(text) == 4:
        return int(text)
    return 2000 + int(text) if 2000 + int(text) <= today.year else 1900 + int(text)


def _days(*readings: tuple[int, int, int]) -> tuple[date, ...]:
    """Return the days that exist among these years, months and days."""
    found: list[date] = []
    for year, month, day in readings:
        if FIRST_YEAR <= year <= 2200:
            try:
                found.append(date(year, month, day))
            except ValueError:
                continue
    return tuple(dict.fromkeys(found))
