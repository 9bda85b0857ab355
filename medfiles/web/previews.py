"""The preview of one document, with its neighbors in the list."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Protocol

from flask import Response, request, url_for

from medfiles.audit import activity
from medfiles.documents.listing import SEARCH_LIMIT
from medfiles.http import parameters
from medfiles.http.current import actor, documents, previews, searches, services
from medfiles.http.htmx import fragment, is_htmx
from medfiles.http.views import FileView, file_views
from medfiles.i18n import N_, gettext
from medfiles.previews.service import THUMBNAIL, WIDTHS, Preview
from medfiles.sandbox.encodings import NAMES as ENCODINGS
from medfiles.sandbox.render.spec import Window, fit_size
from medfiles.search.excerpts import Box
from medfiles.text import clean_text, initials
from medfiles.web import pages
from medfiles.web.filters import plural

DEFAULT_WIDTH = 960  # pixels; for browsers that cannot select a size
NEIGHBORS = 12  # documents shown on either side of the current one


@dataclass(frozen=True)
class PictureView:
    src: str
    srcset: str
    alt: str


class Pictured(Protocol):
    """A document whose pages have addresses as pictures."""

    @property
    def file_name(self) -> str: ...

    @property
    def description(self) -> str | None: ...

    def picture(self, width: int, page: int = 1, window: Window | None = None) -> str: ...


@dataclass(frozen=True)
class WindowView:
    """A DICOM window (brightness and contrast) to choose from, in the units of the image's values."""

    label: str
    center: float
    width: float
    url: str
    chosen: bool


@dataclass(frozen=True)
class EncodingView:
    """A text encoding to choose from."""

    name: str
    label: str
    chosen: bool


@dataclass(frozen=True)
class NoteView:
    text: str
    warning: bool = False


@dataclass(frozen=True)
class PlaceView:
    """The document's position in its list. `number` is 0 if it is no longer there."""

    query: dict[str, str]  # the list's search, filters and order
    number: int = 0
    total: int = 0
    previous: FileView | None = None
    next: FileView | None = None
    around: tuple[FileView, ...] = ()  # in list order: the first, the nearest ones, the last


@dataclass(frozen=True)
class ViewerView:
    """An account that opened the document, and when it last did."""

    who: str  # "you", an e-mail address, or an address "(with a token)"
    initials: str
    at: datetime


@dataclass(frozen=True)
class PreviewView:
    file: FileView
    preview: Preview
    place: PlaceView
    page: int
    pages: int
    picture: PictureView | None
    windows: Sequence[WindowView]
    encodings: Sequence[EncodingView]
    can_download: bool
    notes: Sequence[NoteView]
    viewers: Sequence[ViewerView] = ()
    marks: Sequence[Box] = ()  # where the words searched for stand on the page

    @property
    def kind(self) -> str:
        return self.preview.kind

    @property
    def page_label(self) -> str:
        return gettext("Frame") if self.kind == "dicom" else gettext("Page")

    @property
    def pages_label(self) -> str:
        return gettext("Frames") if self.kind == "dicom" else gettext("Pages")

    @property
    def stage_label(self) -> str:
        if self.pages == 1:
            return self.file.file_name
        message = N_("Frames of %(name)s") if self.kind == "dicom" else N_("Pages of %(name)s")
        return gettext(message, name=self.file.file_name)

    @property
    def reason(self) -> str:
        """Why there is no preview."""
        reason = self.preview.reason
        return gettext(reason) if reason else ""

    @property
    def announcement(self) -> str:
        """The text that screen readers announce."""
        said = [self.file.file_name]
        if self.place.number:
            place = {"number": self.place.number, "total": self.place.total}
            said.append(gettext("document %(number)s of %(total)s", **place))
        said += [plural(self.pages, "frame" if self.kind == "dicom" else "page")] if self.pages > 1 else []
        said += [gettext(self.preview.reason or "No preview")] if self.kind == "none" else []
        return ", ".join(said)


def answer(file_id: int) -> Response:
    encoding, retry = parameters.encoding(request.args), parameters.flag(request.args, "retry")
    preview = previews().describe(file_id, encoding, retry=retry)
    file = pages.file_view(documents().get(file_id))
    template = "previews/_look.html" if is_htmx() else "previews/page.html"
    record, record_view = pages.record_page(services().registry[file.entity_type], file.entity_id)
    seen_by = viewers(file_id) if record_view.patient.is_editor and not file.additional else []
    return fragment(template, view=preview_view(file, preview, place_view(file), seen_by), record=record_view)


def answer_details(file: FileView, status: int = 200, **context: Any) -> Response:
    """Respond with the details shown beside the document, and with its name for the head."""
    _, record_view = pages.record_page(services().registry[file.entity_type], file.entity_id)
    return fragment("previews/_details_part.html", status, file=file, record=record_view, **context)


def viewers(file_id: int) -> list[ViewerView]:
    events = documents().last_views(file_id)
    return [
        ViewerView(activity.who(event, email, actor()), initials(email or "?"), event.at) for event, email in events
    ]


def preview_view(file: FileView, preview: Preview, place: PlaceView, seen_by: Sequence[ViewerView] = ()) -> PreviewView:
    find = clean_text(request.args.get("find"), SEARCH_LIMIT, "“find”")
    window, turned_to = parameters.window(request.args), request.args.get("turn") or request.args.get("page")
    page = parameters.nearest(turned_to, 1, preview.pages or 1)  # `turn` comes from buttons, `page` from the input

    def window_view(label: str, center: float, width: float) -> WindowView:
        query: dict[str, Any] = {"page": page, "window": f"{center},{width}", **place.query}
        url = url_for("documents.preview", file_id=file.id, **query)
        return WindowView(label, center, width, url, (center, width) == (window or preview.window))

    return PreviewView(
        file=file,
        preview=preview,
        place=place,
        page=page,
        pages=preview.pages or 1,
        picture=picture_view(file, preview, page, window) if preview.is_drawn else None,
        windows=[window_view(*preset) for preset in preview.windows],
        encodings=encodings(preview),
        can_download="download" in services().registry[file.entity_type].operations,
        notes=notes(preview),
        viewers=seen_by,
        marks=searches().marks(file.id, page, find) if preview.is_drawn and find else (),
    )


def picture_view(
    file: Pictured, preview: Preview, page: int, window: Window | None = None, large: int = DEFAULT_WIDTH
) -> PictureView:
    """Return the image of a page, with a URL for every size up to the page's own."""
    alt = f"{file.file_name}: {file.description}" if file.description else file.file_name
    if (preview.pages or 1) > 1:
        message = N_("Page %(page)s of %(pages)s of %(name)s")
        if preview.kind == "dicom":
            message = N_("Frame %(page)s of %(pages)s of %(name)s")
        alt = gettext(message, page=page, pages=preview.pages, name=file.file_name)
    fitting: dict[int, str] = {}
    for width in reversed(WIDTHS):  # of two equal sizes, keep the smaller one
        if width <= THUMBNAIL:
            break
        own = preview.width or width
        fits, _ = fit_size((own, preview.height or own), width)
        shown = min(fits, own) if preview.kind == "image" else fits
        fitting[min(width, shown)] = file.picture(width, page, window)
    return PictureView(
        src=file.picture(large, page, window),
        srcset=", ".join(f"{url} {width}w" for width, url in sorted(fitting.items())),
        alt=alt,
    )


def notes(preview: Preview) -> list[NoteView]:
    said = [NoteView(gettext("Not for diagnosis"), warning=True)] if preview.kind == "dicom" else []
    said += [NoteView(gettext("Animated image: only the first frame is shown"))] if preview.animated else []
    return said + ([NoteView(gettext(preview.note))] if preview.note else [])


def encodings(preview: Preview) -> list[EncodingView]:
    """Return the encodings to choose from, if the text does not declare its own."""
    if preview.encoding is None:
        return []
    return [EncodingView(name, label, name == preview.encoding) for name, label in ENCODINGS.items()]


def place_view(file: FileView) -> PlaceView:
    """Find the document in the list that the query string describes."""
    record_type = services().registry[file.entity_type]
    list_query = pages.list_query({**request.args, "cursor": ""}, record_type, trashed=file.deleted_at is not None)
    number, total, near = documents().around(documents().get(file.id), list_query, NEIGHBORS)
    if not number:
        return PlaceView(list_query.query())
    shown = dict(zip([place for place, _ in near], file_views([file for _, file in near]), strict=True))
    around = tuple(shown.values())
    return PlaceView(list_query.query(), number, total, shown.get(number - 1), shown.get(number + 1), around)
