"""View documents: what can be shown, pages as pictures, thumbnails."""

from dataclasses import dataclass, field

from medfiles.antivirus.policy import must_be_readable
from medfiles.audit.event_log import AuditTarget
from medfiles.content import DocumentContent, opened
from medfiles.database.session import db
from medfiles.errors import NotFound
from medfiles.permissions import Action
from medfiles.previews.renderer import Picture, Preview, Renderer, Sheet, Unshowable
from medfiles.sandbox.render import spec
from medfiles.sandbox.render.spec import THUMBNAIL, WIDTHS, recipe
from medfiles.service import Service

__all__ = ["THUMBNAIL", "WIDTHS", "Preview", "Picture", "PreviewService", "Sheet", "Unshowable", "recipe"]


@dataclass
class PreviewService(Service):
    renderer: Renderer = field(kw_only=True)

    def look(self, file_id: int) -> Preview:
        """Return what can be shown of a document; logged as a view."""
        with self.reading("preview", file_id=file_id) as target:
            document = self._admitted(file_id, target, thumbnail=False)
        return self.renderer.look(document)

    def picture(self, file_id: int, sha256: str, word: str, page: int = 1) -> Picture:
        """Return one page, counted from 1, as the recipe says.

        NotFound for an unknown page, recipe or hash; `Unshowable` when it cannot be rendered; `Busy` under load.
        """
        return self._picture(file_id, sha256, word, page)

    def thumbnail(self, file_id: int) -> Picture:
        """Return the small first page, for all record types, even without previews."""
        return self._picture(file_id, None, recipe(THUMBNAIL), 1)

    def page(self, file_id: int, page: int, width: int, window: spec.Window | None = None) -> Picture:
        """Return a page of the current content, whatever its hash."""
        return self._picture(file_id, None, recipe(width, window), page)

    def _picture(self, file_id: int, sha256: str | None, word: str, page: int) -> Picture:
        """Do not log thumbnails: showing one in a list is not viewing the document."""
        thumbnail = page == 1 and word == recipe(THUMBNAIL)
        with (self.operation if thumbnail else self.reading)("preview", file_id=file_id) as subject:
            document = self._admitted(file_id, subject, thumbnail=thumbnail)
        if sha256 not in (None, document.file.sha256):
            raise NotFound()
        return self.renderer.picture(document, word, page)

    def _admitted(self, file_id: int, target: AuditTarget, *, thumbnail: bool) -> DocumentContent:
        """Authorize and detach: no transaction stays open while a worker renders."""
        file = self.authorized_file(file_id, Action.VIEW, target)
        if not thumbnail:
            self.registry[file.entity_type].allow("preview")
        must_be_readable(file, self.actor)
        db.session.expunge(file)
        return opened(file, self.storages)
