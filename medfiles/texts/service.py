"""The text of a document for those who may view it."""

from dataclasses import dataclass, field

from medfiles.antivirus.policy import require_readable
from medfiles.audit import event_log
from medfiles.audit.event_log import AuditTarget
from medfiles.database.session import transaction
from medfiles.errors import BeingRead, NotFound
from medfiles.jobs import queue as jobs
from medfiles.models import EntityFile, PageText
from medfiles.permissions import Action
from medfiles.service import Service
from medfiles.texts import store
from medfiles.texts.layout import Word
from medfiles.texts.reading import Reader


@dataclass(frozen=True)
class PageContent:
    """The text of a page, and its words with their places if they are known.

    `source` is text-layer, ocr or none. `failure` says why there is no text, or not all of it: see `texts.store`.
    """

    page: int
    pages: int
    source: str
    text: str
    words: list[Word]
    failure: str | None = None


@dataclass
class TextService(Service):
    reader: Reader = field(kw_only=True)

    def page(self, file_id: int, page: int) -> PageContent:
        """Return the text of a page, numbered from 1. The call is logged as a preview.

        Raises BeingRead if it has not been read yet, or NotFound if there is no such page.
        """
        with self.reading("preview", file_id=file_id) as target:
            file = self._readable(file_id, target)
        return self._page(file, page)

    def pages(self, file_id: int, most: int) -> list[PageContent] | None:
        """Return the texts of up to `most` pages, or None if the document has not been read yet.

        Not logged itself: it is shown with the preview, which is.
        """
        with self.operation("preview", file_id=file_id) as target:
            file = self._readable(file_id, target)
        rows = store.texts(file.sha256, most=most)
        return [_content(row) for row in rows] or None

    def read_again(self, file_id: int) -> None:
        """Have a job read the document again, for example with an engine that was installed later."""
        with self.operation("read-text", file_id=file_id) as target:
            file = self.authorized_file(file_id, Action.EDIT, target)
            require_readable(file, self.actor)
            sha256 = file.sha256
            store.forget(sha256)
            with transaction():
                event_log.record(self.actor, "read-text", target)
                jobs.enqueue(jobs.TEXT, file_id)

    def _readable(self, file_id: int, target: AuditTarget) -> EntityFile:
        file = self.authorized_file(file_id, Action.VIEW, target)
        self.registry[file.entity_type].allow("preview")
        require_readable(file, self.actor)
        return file

    def _page(self, file: EntityFile, page: int) -> PageContent:
        row = store.find(file.sha256, page)
        if row is None:
            first = store.find(file.sha256, 1)
            if first is None or first.page < page <= first.pages:
                raise BeingRead()
            raise NotFound()
        return _content(row)


def _content(row: PageText) -> PageContent:
    return PageContent(row.page, row.pages, row.source, row.text, store.words_of(row), row.failure)
