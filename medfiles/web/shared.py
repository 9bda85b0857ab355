"""What readers of a share link see, without an account: landing page, documents, downloads."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date
from typing import Any

from flask import Blueprint, Flask, Response, current_app, g, redirect, render_template, request, url_for
from flask.typing import ResponseReturnValue
from itsdangerous import BadData, URLSafeTimedSerializer
from ua_parser import parse

from medfiles.errors import LinkPaused, NotFound, PasscodeBusy, WrongPasscode
from medfiles.http import errors as http_errors
from medfiles.http import parameters
from medfiles.http.current import link_reader, services
from medfiles.http.errors import OTHER_TITLE, TITLES, explained, status_of
from medfiles.http.rate_limits import count_link_opening
from medfiles.http.responses import send_archive, send_document, send_picture
from medfiles.http.security import without_session
from medfiles.i18n import gettext
from medfiles.links.reading import Shared
from medfiles.previews.service import WIDTHS, NoPreview, Preview, recipe
from medfiles.record_types.media_types import WITH_THUMBNAIL, group_of
from medfiles.sandbox.render.spec import Window
from medfiles.text import initials, split_extension
from medfiles.web.previews import EncodingView, NoteView, PictureView, WindowView, encodings, notes, picture_view

blueprint = Blueprint("shared", __name__, url_prefix="/s")
COOKIE, IDLE_SECONDS = "medfiles-link", 30 * 60
MOST_PAGES = 300  # pictures on one page
CSP = (
    "default-src 'none'; script-src 'self'; connect-src 'self'; style-src 'self'; img-src 'self'; font-src 'self'; "
    "form-action 'self'; base-uri 'none'; frame-ancestors 'none'"
)
PRIVACY = {"Referrer-Policy": "no-referrer", "X-Robots-Tag": "noindex, nofollow"}


@dataclass(frozen=True)
class SharedFile:
    """A document as readers of a link see it, with addresses below the link."""

    token: str
    id: int
    file_name: str
    file_type: str
    description: str | None
    category_label: str | None
    day: date
    number: int  # its place in the list, from 1

    @property
    def stem(self) -> str:
        return split_extension(self.file_name)[0]

    @property
    def label(self) -> str:
        return split_extension(self.file_name)[1][1:].upper() or gettext("FILE")

    @property
    def kind(self) -> str:
        return group_of(self.file_type)

    @property
    def thumbnail(self) -> str | None:
        is_drawn = self.file_type in WITH_THUMBNAIL
        return url_for("shared.thumbnail", token=self.token, file_id=self.id) if is_drawn else None

    def picture(self, width: int, page: int = 1, window: Window | None = None) -> str:
        query: dict[str, Any] = {"width": width}
        if window is not None:
            query["window"] = f"{window[0]},{window[1]}"
        return url_for("shared.picture", token=self.token, file_id=self.id, page=page, **query)


@dataclass(frozen=True)
class Viewer:
    """One document, as far as a page can show it."""

    file: SharedFile
    preview: Preview
    pictures: Sequence[PictureView]
    notes: Sequence[NoteView]
    windows: Sequence[WindowView] = ()
    encodings: Sequence[EncodingView] = ()
    frame: int = 1
    previous_frame: str | None = None
    next_frame: str | None = None


@blueprint.get("/<token>")
def landing(token: str) -> ResponseReturnValue:
    shared = link_reader().find(token)
    if _opening(shared) is None:
        return render_template("shared/landing.html", **_context(token, shared))
    return render_template("shared/list.html", **_context(token, shared))


@blueprint.post("/<token>/open")
@without_session
def open(token: str) -> ResponseReturnValue:
    reader = link_reader()
    shared = reader.find(token)
    count_link_opening(shared.link.id)
    form = request.form
    try:
        shared, opening = reader.open(token, form.get("passcode"), form.get("reader"), _browser())
    except WrongPasscode as error:
        if not error.remaining:
            raise NotFound() from None
        return _landing_again(token, shared, error, remaining=error.remaining)
    except PasscodeBusy as error:
        return _landing_again(token, shared, error)
    g.link_cookie = token, _signer().dumps([shared.link.id, opening])
    return redirect(url_for(".landing", token=token), 303)


@blueprint.get("/<token>/documents/<int:file_id>")
def document(token: str, file_id: int) -> ResponseReturnValue:
    shared = link_reader().find(token)
    opening = _opening(shared)
    if opening is None:
        return redirect(url_for(".landing", token=token), 303)
    encoding = parameters.encoding(request.args)
    _, preview = link_reader().describe(shared, opening, file_id, encoding)
    context = _context(token, shared)
    files: list[SharedFile] = context["files"]
    file = next(one for one in files if one.id == file_id)
    around = {one.number: one for one in files}
    more = {"previous": around.get(file.number - 1), "next": around.get(file.number + 1)}
    return render_template("shared/view.html", view=_viewer(file, preview), **context, **more)


@blueprint.get("/<token>/documents/<int:file_id>/pages/<int:page>")
def picture(token: str, file_id: int, page: int) -> Response:
    width = parameters.nearest(request.args.get("width"), min(WIDTHS), max(WIDTHS))
    wanted = recipe(min(WIDTHS, key=lambda one: abs(one - width)), parameters.window(request.args))
    reader, shared = link_reader(), link_reader().find(token)
    return send_picture(reader.picture(shared, _require_opening(shared), file_id, wanted, page))


@blueprint.get("/<token>/documents/<int:file_id>/thumbnail")
def thumbnail(token: str, file_id: int) -> Response:
    reader, shared = link_reader(), link_reader().find(token)
    _require_opening(shared)
    try:
        return send_picture(reader.thumbnail(shared, file_id))
    except NoPreview:
        raise NotFound() from None


@blueprint.get("/<token>/documents/<int:file_id>/download")
def download(token: str, file_id: int) -> Response:
    reader, shared = link_reader(), link_reader().find(token)
    return send_document(reader.content(shared, _require_opening(shared), file_id))


@blueprint.get("/<token>/download")
def download_all(token: str) -> Response:
    reader, shared = link_reader(), link_reader().find(token)
    return send_archive(reader.bundle(shared, _require_opening(shared)))


@blueprint.after_request
def renew_cookie(response: Response) -> Response:
    """Renew the cookie of an opened link, which ends after IDLE_SECONDS without a request."""
    if found := g.get("link_cookie"):
        token, value = found
        secure = current_app.config["SESSION_COOKIE_SECURE"]
        path = url_for(".landing", token=token)
        response.set_cookie(
            COOKIE, value, max_age=IDLE_SECONDS, path=path, httponly=True, secure=secure, samesite="Lax"
        )
    return response


def init_app(app: Flask) -> None:
    app.register_blueprint(blueprint)
    http_errors.answered_by(app, "/s/", answer_error)
    app.after_request(add_headers)


def add_headers(response: Response) -> Response:
    """Replace the app's own headers, also of errors, once they have been set."""
    if request.path.startswith("/s/"):
        response.headers.setdefault("Content-Security-Policy", CSP)
        response.headers.update(PRIVACY)
        response.headers["Cache-Control"] = "private, no-store"
    return response


def answer_error(error: Exception) -> Response:
    """Respond with a page that says nothing about the installation, and is the same for all links that do not work."""
    refusal = explained(error)
    _, title = TITLES.get(refusal.status, OTHER_TITLE)
    words = {"title": gettext(title), "message": refusal.message}
    if isinstance(error, LinkPaused):
        words["title"] = gettext("Paused")
    if refusal.status == status_of(NotFound()):
        words = {
            "title": gettext("Not available"),
            "message": gettext("This link has expired, was revoked, or never existed. Ask for a new one."),
        }
    response = current_app.make_response(render_template("shared/error.html", **words))
    response.status_code = refusal.status
    response.headers.update(refusal.headers)
    return response


def _context(token: str, shared: Shared) -> dict[str, Any]:
    patient, link = shared.patient, shared.link
    files = [_file(token, number, file) for number, file in enumerate(shared.documents, 1)]
    return {
        "token": token,
        "shared": shared,
        "files": files,
        "count": len(files),
        "sender": link.sender,
        "note": link.note,
        "until": link.expires_at,
        "can_download": link.allow_download,
        "patient": patient,
        "initials": initials(patient.full_name),
    }


def _file(token: str, number: int, file: Any) -> SharedFile:
    record_type = services().registry[file.entity_type]
    return SharedFile(
        token=token,
        id=file.id,
        file_name=file.file_name,
        file_type=file.file_type,
        description=file.description,
        category_label=record_type.category_label(file.category) if file.category else None,
        day=file.dated_on,
        number=number,
    )


def _landing_again(token: str, shared: Shared, error: Any, **more: Any) -> ResponseReturnValue:
    status = status_of(error)
    headers = explained(error).headers
    context = {**_context(token, shared), "problem": error.message, "reader": request.form.get("reader", ""), **more}
    return render_template("shared/landing.html", **context), status, headers


def _viewer(file: SharedFile, preview: Preview) -> Viewer:
    if not preview.is_drawn:
        return Viewer(file, preview, (), notes(preview), encodings=encodings(preview))
    count = preview.pages or 1
    window = parameters.window(request.args)
    if preview.kind != "dicom":
        shown = range(1, min(count, MOST_PAGES) + 1)
        said = notes(preview)
        if count > MOST_PAGES:
            said.append(NoteView(gettext("Only the first %(shown)s pages are shown.", shown=MOST_PAGES)))
        return Viewer(file, preview, [picture_view(file, preview, page) for page in shown], said)
    frame = parameters.nearest(request.args.get("page"), 1, count)

    def address(page: int, chosen: Window | None) -> str:
        more: dict[str, Any] = {"window": f"{chosen[0]},{chosen[1]}"} if chosen else {}
        return url_for(".document", token=file.token, file_id=file.id, page=page, **more)

    windows = [
        WindowView(label, center, width, address(frame, (center, width)), (center, width) == (window or preview.window))
        for label, center, width in preview.windows
    ]
    return Viewer(
        file,
        preview,
        [picture_view(file, preview, frame, window)],
        notes(preview),
        windows if len(windows) > 1 else (),
        frame=frame,
        previous_frame=address(frame - 1, window) if frame > 1 else None,
        next_frame=address(frame + 1, window) if frame < count else None,
    )


def _opening(shared: Shared) -> str | None:
    """Return the key of the opening that the reader's cookie stands for, and renew the cookie; None without one."""
    value = request.cookies.get(COOKIE, "")
    try:
        link_id, opening = _signer().loads(value, max_age=IDLE_SECONDS)
    except (BadData, ValueError, TypeError):
        return None
    if link_id != shared.link.id:
        return None
    g.link_cookie = (request.view_args or {})["token"], _signer().dumps([link_id, opening])
    return str(opening)


def _require_opening(shared: Shared) -> str:
    opening = _opening(shared)
    if opening is None:
        raise NotFound()
    return opening


def _signer() -> URLSafeTimedSerializer:
    return URLSafeTimedSerializer(current_app.config["SECRET_KEY"], salt="medfiles.share-link")


def _browser() -> str | None:
    agent = parse(request.user_agent.string[:500]).user_agent
    return agent.family if agent and agent.family != "Other" else None
