"""HTML error responses: a page, or a fragment for htmx."""

from urllib.parse import urlsplit

from flask import Response, g, redirect, request, url_for
from werkzeug.exceptions import BadHost

from medfiles.errors import ProofNeeded, SignedOut
from medfiles.http.errors import OTHER_TITLE, TITLES, explained, status_of
from medfiles.http.htmx import fragment, is_htmx, trigger
from medfiles.http.sessions import had_session
from medfiles.i18n import N_, gettext

SIGN_IN_FIRST = N_("Sign in to see these documents.")


def answer_error(error: Exception) -> Response:
    if isinstance(error, SignedOut):
        return _sign_in_response(error)
    if isinstance(error, ProofNeeded):
        return redirect(url_for("account.verify", next=_changing_page()), 303)  # type: ignore[return-value]
    refusal = explained(error)
    if isinstance(error, BadHost):  # url_for would fail for this host
        return Response(f"{refusal.message}\n", refusal.status, mimetype="text/plain")
    g.bare = refusal.status >= 500  # the cause may also break the page's navigation
    _, title = TITLES.get(refusal.status, OTHER_TITLE)
    context = {"status": refusal.status, "title": gettext(title), "message": refusal.message}
    template = "errors/_error.html" if is_htmx() else "errors/error.html"
    response = fragment(template, refusal.status, back=_form_page(), **context)
    response.headers.update(refusal.headers)
    if is_htmx():
        trigger(response, "documents:error", message=refusal.message, code=refusal.code)
    if request.method == "POST":
        response.headers["HX-Reswap"] = "afterbegin"  # next to the form instead of replacing it
    return response


def _sign_in_response(error: SignedOut) -> Response:
    if not is_htmx():
        is_page = request.method == "GET" and request.path != "/"  # never a URL that a form was submitted to
        wanted = request.full_path.rstrip("?") if is_page else None
        return redirect(url_for("security.login", next=wanted))  # type: ignore[return-value]
    try:
        path = urlsplit(request.headers.get("HX-Current-URL", "")).path  # of the page around the fragment
    except ValueError:
        path = ""
    next_url = path if path.startswith("/") and not path.startswith("//") else None
    known = had_session()
    response = fragment("errors/_sign_in.html", status_of(error), next_url=next_url, had_session=known)
    message = error.message if known else gettext(SIGN_IN_FIRST)
    return trigger(response, "documents:error", message=message, code=error.code)


def _changing_page() -> str:
    """Return the page on which the user can start the change again after giving proof."""
    shown = request.url_rule is not None and "GET" in (request.url_rule.methods or ())
    return request.path if shown else url_for("security.two_factor_setup")


def _form_page() -> str | None:
    """Return the page of this app that sent the form, if any."""
    try:
        page = urlsplit(request.referrer or "")
    except ValueError:
        return None
    ours = request.method == "POST" and page.netloc == request.host and not page.path.startswith("//")
    return page._replace(scheme="", netloc="").geturl() if ours else None
