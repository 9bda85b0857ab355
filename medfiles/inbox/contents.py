"""What a document says about where it belongs: its kind, its date and its heading."""

import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import date
from functools import cached_property

from medfiles.inbox.words import CATEGORIES
from medfiles.models import EntityFile
from medfiles.text import fold, split_extension
from medfiles.texts import dates

HEAD = 600  # characters, in which a document says what it is
HEADING_LINES, HEADING_LENGTH = 16, 70
IN_NAME, IN_HEADING, IN_HEAD, IN_TEXT = 4.0, 4.0, 2.5, 0.4
MOST_REPEATED = 3
GENERIC_NAME = re.compile(
    r"^(?:img|image|dsc[nf]?|pict?|photo|foto|scan(?:ned)?|scanner|document|dokument|doc|file|datei|fichier|archivo"
    r"|whatsapp image|screenshot|page|seite|unbenannt|untitled|sans titre|sin titulo|download|export|kopie|copy)?"
    r"(?: ?(?:at|\d+|[ap]m))*$"
)
WORD = re.compile(r"[^\W\d_]{2,}")
LABEL_WORDS = 2  # of what stands before a date


@dataclass(frozen=True)
class Contents:
    """A document's name and the texts of its first pages, as they are and folded."""

    file: EntityFile
    pages: Sequence[str]
    order: str | None  # of day and month
    today: date

    @cached_property
    def text(self) -> str:
        return "\n".join(fold(page) for page in self.pages)

    @cached_property
    def name(self) -> str:
        return re.sub(r"[\W_]+", " ", fold(split_extension(self.file.file_name)[0])).strip()

    @cached_property
    def words(self) -> frozenset[str]:
        return frozenset(re.findall(r"[^\W_]+", self.text + " " + self.name))

    @cached_property
    def days(self) -> frozenset[date]:
        """All days that can be read in one way only."""
        found = dates.mentions(self.text, self.order, self.today)
        return frozenset(mention.days[0] for mention in found if len(mention.days) == 1)

    @property
    def day(self) -> date | None:
        return self.file.document_date or self.file.document_date_suggested

    @cached_property
    def headings(self) -> Sequence[str]:
        """The first lines that could be a heading, as they are."""
        lines = (line.strip() for page in self.pages[:1] for line in page.splitlines())
        short = [line for line in lines if WORD.search(line)][:HEADING_LINES]
        return [line for line in short if len(line) <= HEADING_LENGTH]

    def categories(self, among: Iterable[str]) -> Mapping[str, float]:
        """Return how well each of the categories fits, without those for which nothing speaks."""
        headings = [fold(line) for line in self.headings]
        found = {}
        for category in among:
            pattern = CATEGORIES.get(category)
            if pattern is None:
                continue
            score = IN_NAME * bool(pattern.search(self.name))
            lines = [place for place, line in enumerate(headings) if pattern.match(line)]
            score += (IN_HEADING + 0.1 * max(0, HEADING_LINES - lines[0])) if lines else 0.0
            score += IN_HEAD * bool(pattern.search(self.text[:HEAD]))
            score += IN_TEXT * min(MOST_REPEATED, len(pattern.findall(self.text)))
            if score:
                found[category] = score
        return found

    def heading(self, category: str | None) -> str | None:
        """Return the line that says what the document is, or None if no line does."""
        own = CATEGORIES.get(category or "")
        patterns = [own] if own else [*CATEGORIES.values()]
        for line in self.headings:
            if any(pattern.match(fold(line)) for pattern in patterns):
                return line
        return None

    def before_date(self, day: date) -> str | None:
        """Return the words before the first mention of a day, None if it is not in the text."""
        for mention in dates.mentions(self.text, self.order, self.today):
            if mention.days == (day,):
                line = self.text[self.text.rfind("\n", 0, mention.start) + 1 : mention.start]
                return " ".join(WORD.findall(line)[-LABEL_WORDS:])
        return None

    @property
    def has_generic_name(self) -> bool:
        return GENERIC_NAME.match(self.name) is not None
