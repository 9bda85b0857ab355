"""View documents: preview descriptions, page images and thumbnails."""

from dataclasses import dataclass, field

from medfiles.antivirus.policy import require_readable
from medfiles.audit.event_log import AuditTarget
from medfiles.content import DocumentContent, opened
from medfiles.database.session import db
from medfiles.errors import NotFound
from medfiles.permissions import Action
from medfiles.previews.renderer import NoPreview, Picture, Preview, PreviewTimedOut, Renderer, Sheet
from medfiles.sandbox.render import spec
from medfiles.sandbox.render.spec import THUMBNAIL, WIDTHS, recipe
from medfiles.service import Service

__all__ = [
    "THUMBNAIL", "WIDTHS", "Preview", "Picture", "PreviewService", "PreviewTimedOut", "Sheet", "NoPreview", "recipe",
]  # fmt: skip


@dataclass
class PreviewService(Service):
    renderer: Renderer = field(kw_only=True)

    def describe(self, file_id: int, encoding: str | None = None, *, retry: bool = False) -> Preview:
        """Return the preview of a document. The call is logged as a view.

        encoding  replaces the guessed encoding of a text that does not declare it
        retry     whether to try again after an earlier timeout
        """
        with self.reading("preview", file_id=file_id) as target:
            document = self._open(file_id, target, thumbnail=False)
        return self.renderer.describe(document, encoding, retry=retry)

    def picture(self, file_id: int, sha256: str, recipe_key: str, page: int = 1, *, retry: bool = False) -> Picture:
        """Return one page, numbered from 1, rendered according to the recipe.

        retry  whether to try again after an earlier timeout

        Raises NotFound for an unknown page, recipe or hash; `NoPreview` if it cannot be rendered; `PreviewTimedOut` if
        that takes too long; `Busy` under load.
        """
        return self._picture(file_id, sha256, recipe_key, page, retry=retry)

    def thumbnail(self, file_id: int) -> Picture:
        """Return a small image of the first page, even for record types without previews."""
        return self._picture(file_id, None, recipe(THUMBNAIL), 1)

    def page(self, file_id: int, page: int, width: int, window: spec.Window | None = None) -> Picture:
        """Return a page of the current content, without checking its hash."""
        return self._picture(file_id, None, recipe(width, window), page)

    def _picture(self, file_id: int, sha256: str | None, recipe_key: str, page: int, *, retry: bool = False) -> Picture:
        """Return a page. Thumbnails are not logged, because seeing one in a list is not viewing the document."""
        thumbnail = page == 1 and recipe_key == recipe(THUMBNAIL)
        with (self.operation if thumbnail else self.reading)("preview", file_id=file_id) as target:
            document = self._open(file_id, target, thumbnail=thumbnail)
        if sha256 not in (None, document.file.sha256):
            raise NotFound()
        return self.renderer.picture(document, recipe_key, page, retry=retry)

    def _open(self, file_id: int, target: AuditTarget, *, thumbnail: bool) -> DocumentContent:
        """Authorize access to the document and detach it, so that no transaction stays open while a worker renders."""
        file = self.authorized_file(file_id, Action.VIEW, target)
        if not thumbnail:
            self.registry[file.entity_type].allow("preview")
        require_readable(file, self.actor)
        if file in db.session:  # it may already be detached
            db.session.expunge(file)
        return opened(file, self.storages)
