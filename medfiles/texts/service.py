"""The text of a document, for accounts that can view it."""

from dataclasses import dataclass, field

from sqlalchemy import select, update

from medfiles.antivirus.policy import require_readable
from medfiles.audit import event_log
from medfiles.audit.event_log import AuditTarget
from medfiles.database.session import transaction
from medfiles.errors import BeingRead, NotFound
from medfiles.jobs import queue as jobs
from medfiles.models import EntityFile, PageText, User
from medfiles.permissions import Action
from medfiles.service import Service
from medfiles.texts import store
from medfiles.texts.layout import Word
from medfiles.texts.reading import Reader

SUGGEST_AGAIN = 500  # documents of an account that has changed how it writes dates


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

    def pages(self, file_id: int, first: int, most: int) -> list[PageContent]:
        """Return the texts of up to `most` pages from `first` on that have been read. Logged as a preview."""
        with self.reading("preview", file_id=file_id) as target:
            file = self._readable(file_id, target)
        return [_content(row) for row in store.texts(file.sha256, first, most)]

    def read_again(self, file_id: int) -> None:
        """Have a job read the document again, for example with an engine that was installed later."""
        with self.operation("read-text", file_id=file_id) as target:
            file = self.authorized_file(file_id, Action.EDIT, target)
            require_readable(file, self.actor)
            sha256 = file.sha256
            with transaction():
                store.forget(sha256)
                event_log.record(self.actor, "read-text", target)
                jobs.enqueue(jobs.TEXT, file_id)

    def set_date_order(self, order: str | None) -> None:
        """Set which part of 3/4/2019 the account writes first: dmy, mdy or None, not known.

        Dates are then suggested for the latest of its documents that have none.
        """
        uploaded = (EntityFile.uploaded_by == self.actor.user_id, EntityFile.deleted_at.is_(None))
        undated = select(EntityFile.id).where(*uploaded, EntityFile.document_date.is_(None))
        with transaction() as session:
            session.execute(update(User).where(User.id == self.actor.user_id).values(date_order=order))
            for file_id in session.scalars(undated.order_by(EntityFile.id.desc()).limit(SUGGEST_AGAIN)).all():
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
