"""A page of somebody else's application on the same origin, with an htmx of its own and parts of medfiles in it."""

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from playwright.sync_api import Locator, Page, Request, Route

ROOT = Path(__file__).parents[2]
EXAMPLE = ROOT / "docs" / "examples" / "embed.html"
HTMX = {
    "4.0.1": ROOT / "static" / "vendor" / "htmx.min.js",
    "2.0.11": ROOT / "tests" / "fixtures" / "htmx-2.0.11.min.js",
}
ADDRESS = "/host.html"
THEIRS = re.compile(r"^http://[^/]+/host[./]")  # everything else is medfiles
POLICY = (
    "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' blob:; font-src 'self'; "
    "connect-src 'self'; form-action 'self'; base-uri 'none'"
)
CONFIG = """<meta name="htmx-config" content='{"includeIndicatorStyles": false}'>"""
OURS = '<link rel="stylesheet" href="/static/medfiles.css"><script type="module" src="/static/medfiles.js"></script>'
SHELL = """<!doctype html><html lang="en"><head><meta charset="utf-8"><title>Front desk</title>
<link rel="stylesheet" href="/host/page.css">{ours}<script src="/host/page.js" defer></script></head>
<body{attributes}>{body}</body></html>"""


def documented(words: str, language: str = "html") -> str:
    """The example in docs/embed.md that holds these words."""
    blocks = re.findall(rf"```{language}\n(.*?)```", (ROOT / "docs" / "embed.md").read_text(), re.DOTALL)
    return str(next(block for block in blocks if words in block))


def placeholder(path: str) -> str:
    """The one line that puts a part of medfiles into a page."""
    return f'<div class="mf" hx-get="{path}" hx-trigger="load" hx-target="this" hx-swap="innerHTML"></div>'


@dataclass
class Host:
    """Serves pages under `ADDRESS` in one browser page, and remembers what was asked of medfiles from there."""

    page: Page
    htmx: str  # the version the page brings, "" for none
    sent: list[Request] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.page.on("request", lambda request: self.sent.append(request))

    def example(self, *visits: Any) -> None:
        """The page of the documentation, about these visits instead of 1, 2 and 3."""
        ids = [visit if isinstance(visit, int) else visit.id for visit in visits]
        self.show(re.sub(r"/visit/(\d)", lambda found: f"/visit/{ids[int(found[1]) - 1]}", EXAMPLE.read_text()))

    def parts(self, *paths: str, **page: str) -> None:
        """A page of these parts, one below the other."""
        self.build("".join(placeholder(path) for path in paths), **page)

    def build(self, body: str, *, attributes: str = "", css: str = "", js: str = "", ours: str = OURS) -> None:
        self.show(SHELL.format(body=body, attributes=attributes, ours=ours), css=css, js=js)

    def show(self, html: str, *, css: str = "", js: str = "") -> None:
        own = f'{CONFIG}<script src="/host/htmx.js" defer></script></head>' if self.htmx else "</head>"
        page = ("text/html", html.replace("</head>", own))
        answers: Mapping[str, tuple[str, str]] = {
            ADDRESS: page,
            "/host/other": page,  # htmx 4 may ask for it when one steps back and forward quickly
            "/host/page.css": ("text/css", css),
            "/host/page.js": ("text/javascript", js),
            "/host/htmx.js": ("text/javascript", HTMX[self.htmx].read_text() if self.htmx else ""),
        }

        def answer(route: Route) -> None:
            kind, body = answers[urlsplit(route.request.url).path]
            route.fulfill(content_type=f"{kind}; charset=utf-8", body=body, headers={"Content-Security-Policy": POLICY})

        self.page.unroute(THEIRS)
        self.page.route(THEIRS, answer)
        self.page.goto(ADDRESS)

    def asked(self, pattern: str) -> list[Request]:
        """Requests since the page was opened whose path and query match."""
        return [request for request in self.sent if re.search(pattern, request.url)]

    def part(self, name: str) -> Locator:
        return self.page.locator(f"#mf-{name}")
