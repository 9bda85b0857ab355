"""Render previews in sandbox workers and cache them. Permissions are not checked here.

To support another format, add its signature in `sandbox/inspect`, a previewer in `sandbox/render/tasks.py`, and a row
that names both in `sandbox/media_types.py`.
"""

import base64
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, NamedTuple

import structlog
from pydantic import TypeAdapter

from medfiles.content import DocumentContent
from medfiles.errors import (
    BlobMissing,
    DatabaseUnavailable,
    IntegrityFailed,
    KeyTaken,
    MedfilesError,
    NotFound,
    Rejected,
)
from medfiles.i18n import N_
from medfiles.models import Rendition
from medfiles.previews import cache as preview_cache
from medfiles.previews.libreoffice import ConversionFailed, Converter
from medfiles.record_types.media_types import WITH_THUMBNAIL, group_of
from medfiles.sandbox.pool import Busy, ConcurrencyLimit, Limits, NotChecked, Sandbox, TimedOut, WorkerUnavailable
from medfiles.sandbox.render import spec
from medfiles.sandbox.render.spec import PictureSpec
from medfiles.storage import Storages, journal, picture_key

log = structlog.get_logger("medfiles.previews.renderer")
TASKS = ("medfiles.sandbox.render.tasks",)
LIMITS = Limits(cpu=15, wall=45.0, jobs=200, queue=10.0, nice=10)  # lower priority than the server
WAIT_SECONDS = 10.0  # seconds to wait for a picture that another request is rendering
POLL_SECONDS = 0.05
BUSY = N_("Many previews are being prepared. Please try again in a moment.")
CRASHED = N_("This document cannot be previewed safely. Download it to open it on your device.")
NOT_CONVERTED = N_("The preview could not be prepared. Download the document to open it on your device.")
NO_CONVERTER, PDF = Converter(""), "application/pdf"
SLOW = N_("The preview of this document is taking too long. Download it to open it on your device.")
WHOLE_DOCUMENT = 0  # page number that stands for the whole document
MESSAGES = ((TimedOut, SLOW), (ConversionFailed, NOT_CONVERTED), (NotChecked, CRASHED))


class NoPreview(Rejected):
    """The document is readable, but no preview of it can be rendered."""

    code = "no-preview"


class Sheet(NamedTuple):
    name: str
    rows: tuple[tuple[str, ...], ...]


@dataclass(frozen=True)
class Preview:
    """The preview of a document. Sizes are in pixels and apply to the first page.

    `kind` is "pages" (PDF, TIFF), "image", "dicom", "text", "table", "html", or "none" with a `reason`. Pages (or
    frames, for DICOM images) are numbered from 1. `windows` contains (label, center, width) tuples, the default first;
    `tags` contains (label, value) pairs. `html` is sanitized: it has no scripts, styles, links or pictures.
    """

    kind: str
    pages: int | None = None
    width: int | None = None
    height: int | None = None
    animated: bool = False
    reason: str | None = None
    windows: tuple[tuple[str, float, float], ...] = ()
    tags: tuple[tuple[str, str], ...] = ()
    text: str | None = None
    html: str | None = None
    sheets: tuple[Sheet, ...] = ()
    note: str | None = None  # states what the preview leaves out
    can_retry: bool = False  # rendering timed out, so another attempt may succeed
    encoding: str | None = None  # of text that does not declare it, as guessed or chosen

    @property
    def is_drawn(self) -> bool:
        """Whether the pages are shown as images."""
        return self.kind in ("pages", "image", "dicom")

    @property
    def window(self) -> spec.Window | None:
        """The default DICOM window, if any."""
        return self.windows[0][1:] if self.windows else None


PREVIEW_FROM_JSON = TypeAdapter(Preview).validate_python


@dataclass(frozen=True)
class Picture:
    """A WebP image of `size` bytes. `read()` yields its chunks; `etag` identifies its content."""

    size: int
    etag: str
    read: Callable[[], Iterator[bytes]]
    note: str | None = None  # states what the picture leaves out


@dataclass(frozen=True)
class Renderer:
    """Renders previews of documents, which are passed as detached `DocumentContent`.

    Every caller that waits for rendering takes a slot, so that some threads remain free for other requests.
    """

    storages: Storages
    sandbox: Sandbox
    converter: Converter = NO_CONVERTER
    render_slots: ConcurrencyLimit = field(default_factory=ConcurrencyLimit)

    def describe(self, document: DocumentContent, encoding: str | None = None, *, retry: bool = False) -> Preview:
        """Describe the preview.

        encoding  replaces the guessed one of a text
        retry     whether an earlier timeout does not count
        """
        if encoding and document.file.file_type not in WITH_THUMBNAIL:
            answer = self._run("look", document, encoding=encoding)
            return no_preview(answer["crash"]) if "crash" in answer else PREVIEW_FROM_JSON(answer)
        sha256 = document.file.sha256
        if retry:
            preview_cache.forget_timeouts(sha256)
        known = preview_cache.find(sha256, spec.PREVIEW, 0)
        if known is not None:
            return no_preview(known.failure) if known.failure else PREVIEW_FROM_JSON(known.facts or {})
        answer = self._run("look", document)
        if "crash" in answer:
            _store_failure(sha256, spec.PREVIEW, 0, answer["crash"])
            return no_preview(answer["crash"])
        if document.file.file_type in WITH_THUMBNAIL:  # previews of other types contain the whole document
            preview_cache.store_facts(sha256, spec.PREVIEW, 0, facts=answer)
        return PREVIEW_FROM_JSON(answer)

    def picture(self, document: DocumentContent, recipe: str, page: int) -> Picture:
        """Return a page as an image. Raises NotFound (no such page or recipe), `NoPreview` or `Busy`."""
        self._check_exists(document, spec.parse_recipe(recipe), page)
        sha256 = document.file.sha256
        if known := preview_cache.find(sha256, recipe, page):
            return self._open_cached(known) or self._render_and_cache(document, recipe, page)
        # Do not retry if a worker has already crashed on this page (at any width) or on two other pages.
        if message := preview_cache.failure(sha256, spec.crash(), (WHOLE_DOCUMENT, page)):
            raise NoPreview(message)
        return self._render_and_cache(document, recipe, page)

    def _check_exists(self, document: DocumentContent, picture_spec: PictureSpec, page: int) -> None:
        group, pages = group_of(document.file.file_type), document.file.pages
        if group == "image" and pages is None:
            pages = 1
        if pages is None:
            preview = self.describe(document)
            if preview.kind == "none":
                raise NoPreview(preview.reason or CRASHED)
            pages = preview.pages or 0
        drawn = document.file.file_type in WITH_THUMBNAIL or self.converter.supports(document.file.file_type)
        if not drawn or not 1 <= page <= pages or (picture_spec.window and group != "dicom"):
            raise NotFound()

    def _open_cached(self, known: Rendition) -> Picture | None:
        """Return a cached picture, or None if its object is missing."""
        if known.failure:
            raise NoPreview(known.failure)
        storage, key = self.storages[str(known.storage)], str(known.key)
        try:
            size = storage.stat(key).size
        except BlobMissing:
            preview_cache.forget(known)
            return None
        note = (known.facts or {}).get("note")
        return Picture(size, _etag(known.sha256, known.recipe, known.page), lambda: storage.open(key), note)

    def _render_and_cache(self, document: DocumentContent, recipe: str, page: int) -> Picture:
        sha256, storage = document.file.sha256, self.storages.default
        key = picture_key(sha256, recipe, page)
        if not self._is_cacheable(document, spec.parse_recipe(recipe)) or not preview_cache.claim(storage.name, key):
            return self._wait_for_other(sha256, recipe, page, key) or self._render(document, recipe, page)[0]
        try:
            picture, content = self._render(document, recipe, page)
        except MedfilesError as error:
            if isinstance(error, NoPreview):
                _store_failure(sha256, recipe, page, error.message)
            journal.abandon(self.storages, [key])
            raise
        facts = {"note": picture.note} if picture.note else None
        row = Rendition(sha256=sha256, recipe=recipe, page=page, key=key, storage=storage.name, facts=facts)
        self._cache(row, content)
        return picture

    def _is_cacheable(self, document: DocumentContent, picture_spec: PictureSpec) -> bool:
        """Return whether to cache the picture.

        Of all windows, only the presets are cached, because there is no limit to the number of others.
        """
        width, window = picture_spec.width, picture_spec.window
        return window is None or any(
            spec.recipe(width, preset[1:]) == spec.recipe(width, window) for preset in self.describe(document).windows
        )

    def _wait_for_other(self, sha256: str, recipe: str, page: int, key: str) -> Picture | None:
        """Wait for any other request that is rendering the picture. Return the cached picture, or None."""
        if preview_cache.is_in_progress(key):
            with self._render_slot():
                deadline = time.monotonic() + WAIT_SECONDS
                while preview_cache.is_in_progress(key):
                    if time.monotonic() > deadline:
                        raise Busy(BUSY)
                    time.sleep(POLL_SECONDS)
        known = preview_cache.find(sha256, recipe, page)
        return self._open_cached(known) if known else None

    @contextmanager
    def _render_slot(self) -> Iterator[None]:
        try:
            with self.render_slots.slot():
                yield
        except WorkerUnavailable:
            raise
        except Busy:
            raise Busy(BUSY) from None

    def _render(self, document: DocumentContent, recipe: str, page: int) -> tuple[Picture, bytes]:
        sha256, picture_spec = document.file.sha256, spec.parse_recipe(recipe)
        answer = self._run("picture", document, page=page, width=picture_spec.width, window=picture_spec.window)
        if "missing" in answer:
            raise NotFound()
        if "crash" in answer:
            if preview_cache.has_other(sha256, spec.crash(), page):
                _store_failure(sha256, spec.crash(), WHOLE_DOCUMENT, answer["crash"])
            _store_failure(sha256, spec.crash(), page, answer["crash"])
        if reason := answer.get("crash") or answer.get("reason"):
            raise NoPreview(reason)
        content = base64.b64decode(answer["webp"])
        etag = _etag(sha256, recipe, page)
        return Picture(len(content), etag, lambda: iter([content]), answer.get("note")), content

    def _cache(self, row: Rendition, content: bytes) -> None:
        """Cache the picture. If the storage fails, the picture is still shown."""
        storage, key = self.storages.default, str(row.key)
        row.size = len(content)
        try:
            with storage.staged([content], len(content)) as staged:
                try:
                    storage.commit(staged, key)
                except KeyTaken:  # left over from before a restore and unknown to the restored database
                    storage.delete(key)
                    storage.commit(staged, key)
                preview_cache.store(row)
        except DatabaseUnavailable:
            raise  # the commit may have taken effect: leave the object to the sweep
        except MedfilesError as error:
            log.warning("picture not kept", code=error.code)
            journal.abandon(self.storages, [key])

    def _run(self, task: str, document: DocumentContent, **arguments: Any) -> dict[str, Any]:
        """Return the task's result, or {"crash": message} if the task could not be completed safely."""
        try:
            with self._render_slot(), self.local_file(document) as (path, media_type):
                return self.sandbox.run(task, file=path, media_type=media_type, **arguments)
        except NotChecked as error:
            log.warning("document not shown", task=task, type=document.file.file_type, code=error.code)
            return {"crash": next(message for kind, message in MESSAGES if isinstance(error, kind))}

    @contextmanager
    def local_file(self, document: DocumentContent) -> Iterator[tuple[Path, str]]:
        """Yield a local copy of the content and its media type. Old Word documents become PDFs if possible."""
        file, storage = document.file, self.storages.default
        with storage.staged(document.read(), file.file_size) as staged:
            staged.finish()
            if staged.sha256 != file.sha256:
                raise IntegrityFailed()
            if not self.converter.supports(file.file_type):
                yield staged.path, file.file_type
                return
            made = self.converter.to_pdf(file.sha256, staged.path)
            with storage.staged([made], len(made)) as converted:
                converted.finish()
                yield converted.path, PDF


def _etag(sha256: str, recipe: str, page: int) -> str:
    return f"{sha256}-{recipe}-{page}"


def no_preview(reason: str) -> Preview:
    return Preview("none", reason=reason, can_retry=reason == SLOW)


def _store_failure(sha256: str, recipe: str, page: int, message: str) -> None:
    facts = {"facts": preview_cache.TIMED_OUT} if message == SLOW else {}
    preview_cache.store_facts(sha256, recipe, page, failure=message, **facts)
