"""Make PDFs of the documents to share: one of each, and one with all of them behind a page of contents.

Documents are hostile: only sandbox workers open them. Text is typeset by a process of its own. Everything is passed in
files, so that this process stays small.
"""

import hashlib
import os
import shutil
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, date, datetime
from itertools import accumulate
from pathlib import Path
from typing import Any

import structlog
from babel.dates import format_date

from medfiles.i18n import gettext
from medfiles.previews.libreoffice import Converter
from medfiles.previews.renderer import NO_CONVERTER
from medfiles.sandbox.media_types import BY_NAME
from medfiles.sandbox.output import Output
from medfiles.sandbox.pool import NotChecked, Sandbox
from medfiles.smart_links import typesetter
from medfiles.smart_links.typesetter import StoryFailed

log = structlog.get_logger("medfiles.smart_links.story")
TASKS = ("medfiles.sandbox.render.story",)
MIB = 1024**2
GROWTH, ROOM, MOST = 4, 8 * MIB, 256 * MIB  # a document may take more than its original: times, and bytes more · bytes
MOST_PAGES = 2000
DICOM = "dicom"  # a previewer whose pictures need their controls, so they are not drawn
WORDS = 4 * MIB  # bytes of a document's text as JSON
LONGEST_LINE, LONGEST_NOTE = 300, 5000  # characters
LOCALE = "en_GB"


@dataclass(frozen=True)
class Paper:
    """A document to share. `about` is its description, and `original` a file with its bytes."""

    name: str
    media_type: str
    about: str
    day: date | None
    original: Path


@dataclass(frozen=True)
class Cover:
    """What the first page says."""

    patient: str
    birth_date: date
    sender: str | None
    note: str | None
    created: datetime
    expires: datetime


@dataclass(frozen=True)
class Story:
    """The PDFs: `story` has all documents, `documents` each one, or None where it cannot be a PDF.

    A document that is a PDF is its original.
    """

    story: Path
    documents: list[Path | None]


@dataclass
class Drawn:
    """What became of a document: a PDF with `pages`, of which the story takes `size` bytes, or `words` to typeset."""

    pdf: Path | None = None
    pages: int = 0
    size: int = 0
    words: Path | None = None


def build(
    papers: Sequence[Paper],
    cover: Cover,
    folder: Path,
    renderers: Sandbox,
    converter: Converter = NO_CONVERTER,
) -> Story:
    """Make the PDFs in `folder`, which can hold the originals and nothing else.

    renderers  workers with the tasks in TASKS
    converter  turns old Word documents into PDFs

    A document that cannot be drawn is left out, and the contents page says so. Raises `Busy` or `StorageError` if the
    server cannot do it now, and `StoryFailed` if the documents cannot be put together.
    """
    builder = _Builder(folder, renderers, converter)
    drawn = [builder.draw(number, paper) for number, paper in enumerate(papers)]
    try:
        path = builder.merge(builder.typeset(cover, papers, drawn), drawn)
    except StoryFailed:
        builder.drop_culprits(drawn)
        path = builder.merge(builder.typeset(cover, papers, drawn), drawn)
    return Story(path, [one.pdf for one in drawn])


@dataclass(frozen=True)
class _Builder:
    folder: Path
    renderers: Sandbox
    converter: Converter

    def draw(self, number: int, paper: Paper) -> Drawn:
        """Make a PDF of the document, or the words for one."""
        kind = BY_NAME[paper.media_type].previewer if paper.media_type in BY_NAME else DICOM
        try:
            if kind == "pdf":
                return self._measured(paper.original)
            if self.converter.supports(paper.media_type):
                return self._measured(self._converted(number, paper.original))
            if kind == "image":
                return self._drawn(number, paper)
            return Drawn() if kind == DICOM else self._worded(number, paper)
        except NotChecked as error:
            log.warning("document not drawn", type=paper.media_type, code=error.code)
            return Drawn()

    def _measured(self, path: Path) -> Drawn:
        answer = self.renderers.run("measure", file=path)
        if "reason" in answer:
            return Drawn()
        size = number_of(answer, "size", MOST)
        return Drawn(path, number_of(answer, "pages", MOST_PAGES), size) if size <= most_for(path) else Drawn()

    def _converted(self, number: int, original: Path) -> Path:
        with original.open("rb") as file:
            digest = hashlib.file_digest(file, "sha256").hexdigest()
        path = self.folder / f"{number}.pdf"
        path.write_bytes(self.converter.to_pdf(digest, original))
        return path

    def _drawn(self, number: int, paper: Paper) -> Drawn:
        path, original = self.folder / f"{number}.pdf", paper.original
        answer = self._fill(
            "draw", path, 2 * room_for(original), most_for(original), file=original, media_type=paper.media_type
        )
        return Drawn(path, number_of(answer, "pages", MOST_PAGES), room_for(path)) if answer else Drawn()

    def _worded(self, number: int, paper: Paper) -> Drawn:
        path = self.folder / f"{number}.json"
        answer = self._fill("words", path, MIB, WORDS, file=paper.original, media_type=paper.media_type)
        return Drawn(words=path) if answer else Drawn()

    def _fill(self, task: str, path: Path, room: int, most: int, **arguments: Any) -> dict[str, Any]:
        """Let a task fill a new file, with more room if it needs it. Return its answer, or {} if there is none."""
        path.unlink(missing_ok=True)
        answer = self.renderers.run(task, output=Output(path, room), **arguments)
        if "needs" in answer:
            path.unlink()
            if (needs := number_of(answer, "needs", sys.maxsize)) > most:
                return {}
            answer = self.renderers.run(task, output=Output(path, needs), **arguments)
        if "size" not in answer:
            return {}
        os.truncate(path, number_of(answer, "size", path.stat().st_size))
        return answer

    def typeset(self, cover: Cover, papers: Sequence[Paper], drawn: Sequence[Drawn]) -> Path:
        """Typeset the words and the contents page, and return the latter's PDF. If the words fail, leave them out."""
        worded = [(paper, one) for paper, one in zip(papers, drawn, strict=True) if one.words]
        try:
            done = typesetter.run(self.folder, self._plan(cover, papers, drawn))
        except NotChecked as error:
            if not worded:
                raise
            log.warning("words not typeset", code=error.code)
            for _, one in worded:
                one.words = None
            return self.typeset(cover, papers, drawn)
        for (_, one), pages in zip(worded, done["documents"], strict=True):
            if pages and one.words:
                one.pdf, one.pages = one.words.with_suffix(".pdf"), pages
                one.size = room_for(one.pdf)
        return self.folder / "cover.pdf"

    def _plan(self, cover: Cover, papers: Sequence[Paper], drawn: Sequence[Drawn]) -> dict[str, Any]:
        pairs = list(zip(papers, drawn, strict=True))
        words = [(paper, one.words) for paper, one in pairs if one.words]
        documents = [
            {
                "words": path.name,
                "pdf": path.with_suffix(".pdf").name,
                "title": cut(paper.name, LONGEST_LINE),
                "cut": gettext("The rest of this document is left out here."),
            }
            for paper, path in words
        ]
        entries = [entry(paper, one) for paper, one in pairs]
        return {"documents": documents, "cover": contents(cover, entries)}

    def drop_culprits(self, drawn: Sequence[Drawn]) -> None:
        """Forget the PDFs that cannot even be merged alone."""
        for one in drawn:
            try:
                if one.pdf:
                    self.merge(one.pdf, [])
            except StoryFailed:
                one.pdf, one.pages, one.words = None, 0, None

    def merge(self, first: Path, drawn: Sequence[Drawn]) -> Path:
        """Put all PDFs behind the first, and return the story."""
        parts = [first, *(one.pdf for one in drawn if one.pdf)]
        packed = self.folder / "parts"
        with packed.open("wb") as target:
            for part in parts:
                with part.open("rb") as source:
                    shutil.copyfileobj(source, target)
        ends = list(accumulate(part.stat().st_size for part in parts))
        path, room = self.folder / "story.pdf", room_for(first) + sum(one.size for one in drawn)
        try:
            answer = self._fill("merge", path, room, MOST, file=packed, ends=ends)
        except NotChecked as error:
            raise StoryFailed() from error
        if not answer:
            raise StoryFailed()
        packed.unlink()
        return path


def room_for(path: Path) -> int:
    """Return how many bytes a PDF or JPEG usually takes as pages of the story, at most."""
    size = path.stat().st_size
    return size + size // 2 + MIB // 4


def most_for(path: Path) -> int:
    """Return how many bytes a document may take as pages of the story."""
    return min(GROWTH * path.stat().st_size + ROOM, MOST)


def number_of(answer: dict[str, Any], name: str, most: int) -> int:
    """Return a number that a worker reports. Raises `StoryFailed` if it is not what a worker sends."""
    number = answer.get(name)
    if not isinstance(number, int) or not 0 < number <= most:
        raise StoryFailed()
    return number


def entry(paper: Paper, drawn: Drawn) -> dict[str, Any]:
    """Return a line of the contents. The typesetter knows the pages of what it typesets."""
    return {
        "name": cut(paper.name, LONGEST_LINE),
        "about": cut(paper.about, LONGEST_LINE),
        "day": format_day(paper.day) if paper.day else "",
        "pages": drawn.pages,
        "typeset": drawn.words is not None,
    }


def contents(cover: Cover, entries: list[dict[str, Any]]) -> dict[str, Any]:
    """Return the words of the first page."""
    created = format_day(cover.created.astimezone(UTC))
    sender = cut(cover.sender or "", LONGEST_LINE)
    shared = (
        gettext("Shared by %(sender)s on %(day)s", sender=sender, day=created)
        if sender
        else gettext("Shared on %(day)s", day=created)
    )
    facts = [
        gettext("Born %(day)s", day=format_day(cover.birth_date)),
        shared,
        gettext("Available until %(day)s", day=format_day(cover.expires.astimezone(UTC))),
    ]
    return {
        "title": gettext("Documents of %(patient)s", patient=cut(cover.patient, LONGEST_LINE)),
        "facts": facts,
        "note": {"words": gettext("Note"), "text": cut(cover.note, LONGEST_NOTE)} if cover.note else None,
        "heading": gettext("Contents"),
        "entries": entries,
        "absent": gettext("Not in this file"),
    }


def format_day(day: date) -> str:
    return format_date(day, "d MMMM y", locale=LOCALE)


def cut(words: str, most: int) -> str:
    return words if len(words) <= most else f"{words[: most - 1]}…"
