"""HTML error responses: a page, or a fragment for htmx."""

from urllib.parse import urlsplit

from flask import Response, g, redirect, request, url_for
from werkzeug.exceptions import BadHost

from medfiles.errors import ProofNeeded, SignedOut
from medfiles.http.errors import explained, status_of
from medfiles.http.htmx import fragment, is_htmx, trigger

TITLES = {
    400: "Something went wrong",
    401: "Sign in",
    403: "Not allowed",
    404: "Not found",
    405: "Not supported",
    409: "Not possible right now",
    413: "Too large",
    415: "Wrong file type",
    412: "Changed since you opened it",
    422: "There’s a problem",
    429: "Too many attempts",
    500: "Something went wrong",
    503: "Temporarily unavailable",
}


def answer_error(error: Exception) -> Response:
    if isinstance(error, SignedOut):
        return _sign_in_response(error)
    if isinstance(error, ProofNeeded):
        return redirect(url_for("account.verify", next=_changing_page()), 303)  # type: ignore[return-value]
    refusal = explained(error)
    if isinstance(error, BadHost):  # url_for fails for such a host
        return Response(f"{refusal.message}\n", refusal.status, mimetype="text/plain")
    g.bare = refusal.status >= 500  # what failed for the page may fail for its navigation, too
    context = {"status": refusal.status, "title": TITLES.get(refusal.status, TITLES[400]), "message": refusal.message}
    template = "errors/_error.html" if is_htmx() else "errors/error.html"
    response = fragment(template, refusal.status, back=_form_page(), **context)
    response.headers.update(refusal.headers)
    if is_htmx():
        trigger(response, "documents:error", message=refusal.message, code=refusal.code)
    if request.method == "POST":
        response.headers["HX-Reswap"] = "afterbegin"  # next to the form, not in its place
    return response


def _sign_in_response(error: SignedOut) -> Response:
    if not is_htmx():
        return redirect(url_for("security.login", next=_current_page()))  # type: ignore[return-value]
    response = fragment("errors/_sign_in.html", status_of(error), next_url=_htmx_page())
    return trigger(response, "documents:error", message=error.message, code=error.code)


def _changing_page() -> str:
    """Return the page where the change begins again once there is proof."""
    shown = request.url_rule is not None and "GET" in (request.url_rule.methods or ())
    return request.path if shown else url_for("security.two_factor_setup")


def _form_page() -> str | None:
    """Return the page of this app that sent the form."""
    try:
        page = urlsplit(request.referrer or "")
    except ValueError:
        return None
    ours = request.method == "POST" and page.netloc == request.host and not page.path.startswith("//")
    return page._replace(scheme="", netloc="").geturl() if ours else None


def _htmx_page() -> str | None:
    """Return the path of the page around an htmx fragment, if on this origin."""
    try:
        path = urlsplit(request.headers.get("HX-Current-URL", "")).path
    except ValueError:
        return None
    return path if path.startswith("/") and not path.startswith("//") else None


def _current_page() -> str | None:
    """Return the page to open after sign-in; never one that a form was sent to."""
    return request.full_path.rstrip("?") if request.method == "GET" and request.path != "/" else None
