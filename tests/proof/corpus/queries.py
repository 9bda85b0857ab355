"""Addresses: what stands behind the question mark, or where a number or a kind of record belongs; and forms."""

import random
from collections.abc import Iterator, Mapping
from functools import partial
from urllib.parse import quote, unquote

from werkzeug.test import TestResponse

from tests.proof.corpus.desk import Desk, Input, judge_download, statuses
from tests.proof.corpus.sources import scripts, strings

RIGHT = statuses(200, 302, 303, 304, 308, 400, 403, 404, 405, 413, 414, 415, 422)
ABSENT = statuses(400, 404, 405, 308, 414)
LISTED = ("q", "category", "media", "from", "to", "zone", "sort", "order", "cursor", "part", "row", "edit", "mode")
ASKED: Mapping[str, tuple[str, ...]] = {
    "/documents/visit/{visit}": (*LISTED, "place", "within"),
    "/documents/visit/{visit}/list": LISTED,
    "/documents/visit/{visit}/trash": LISTED,
    "/documents/visit/{visit}/badge": ("variant", "size", "sheet"),
    "/documents/visit/badges": ("ids", "variant", "size"),
    "/documents/visit/new": ("patient",),
    "/documents/files/{file}/preview": ("page", "turn", "window", *LISTED[:9]),
    "/documents/files/{file}/download": ("name", "disposition", "type", "download"),
    "/patients/{patient}/activity": ("before",),
    "/patients/{patient}/people": ("change",),
    "/visit/{visit}": ("mode", "on_page"),
    "/account": ("next",),
    "/api/v1/visit/{visit}/files": (*LISTED[:9], "limit", "trashed"),
    "/api/v1/files/{file}/preview": ("page", "width", "window"),
    "/api/v1/files/{file}/download": ("name", "disposition"),
    "/api/v1/files/archive": ("ids",),
    "/static/medfiles.css": ("v",),
}
VALUES = (
    "", " ", "0", "-1", "1", "1.5", "1e9", "9" * 18, "9" * 19, "9" * 400, "0x10", "١٢", "²", "1,2", ",", ",,1", "1;2",
    "1 2", "1\0", "\0", "%00", "null", "None", "true", "[]", "{}", "*", "%", "_", "\\", "'", '"', "<", "../..",
    "..%2f..", "/etc/passwd", "C:\\", "file:///etc/passwd", "http://evil.example", "//evil.example",
    "javascript:alert(1)", "\r\nSet-Cookie: a=b", "\ud800", "\u202e", "\U0010ffff", "a" * 201, "a" * 5000,
    "2026-02-30", "0000-00-00", "10000-01-01", "-1-01-01", "1849-12-31", "2201-01-01", "2026-11-26T00:00", "2026-W48",
    "now", "26.11.2026", "UTC", "Europe/Zurich", "europe/zurich", "../UTC", "/etc/localtime", "Etc/GMT+25", "zone.tab",
    "posixrules", "Europe", "UTC\0", "a" * 300, "name", "NAME", "name,date", "asc", "ASC", "desc;", "pdf", "PDF",
    "image", "none", "summary", "edit", "view", "manager", "badge", "xs", "bm90aGluZw", "eyJ2IjoxfQ",
    "eyJ2IjogIjEiLCAiaWQiOiAxfQ==", "W10=", "bnVsbA==", "AAAA", "=", "====", "a===", "-_-_", "🩻", "40,400", "40",
    "40,", ",400", "nan,nan", "inf,inf", "1e308,1e308", "-1,-1", "0,0", "40,400,1", "40,1e400", "40;400",
)  # fmt: skip
OWN, FEW = 15, 4  # values for each parameter, and strings of each collection
PLACES = (
    "/static/{}", "/static/@x/{}", "/static/security/{}", "/documents/{}/1", "/documents/visit/{}",
    "/documents/visit/{}/list", "/documents/files/{}/download", "/documents/files/{}/preview",
    "/documents/files/1/pictures/{}/1.webp", "/patients/{}", "/visit/{}", "/{}/1", "/{}", "/api/v1/{}/1/files",
    "/api/v1/files/{}", "/api/v1/files/{}/download", "/api/v1/lab-result-files/{}/download", "/api/v1/{}",
    "/account/sessions/{}/end", "/account/second-step/{}",
)  # fmt: skip
CLIMBING = (
    "../../../../etc/passwd", "..%2f..%2f..%2fetc%2fpasswd", "%2e%2e/%2e%2e/etc/passwd", "..%252f..%252fetc/passwd",
    "....//....//etc/passwd", "..\\..\\windows\\win.ini", "..%5c..%5cwin.ini", "/etc/passwd", "//etc/passwd", "%00",
    "a%00.css", ".", "..", "./", "~root", "CON", "nul.css", "medfiles.css/", "medfiles.css%00", "medfiles.css::$DATA",
    "..;/", "%c0%ae%c0%ae/", "%ff", "*", "[a]", "?(x)", "1%0a", "1%20", "+1", "-1", "1.0", "0x1", "9" * 19, "9" * 5000,
    "1e1", "١", "1/../2", "{{7*7}}", "${7*7}", "<script>", "'--", "%27", "\ud800", "instance/secret-key", "secret-key",
    "medfiles.db", "uploads/files", "../instance/medfiles.db", "../medfiles.db",
)  # fmt: skip
FORMS: Mapping[str, tuple[str, ...]] = {
    "/documents/visit/{visit}/bulk": (
        "action", "file_ids", "all", "category", "view", "q", "in_category", "idempotency_key", "next",
    ),
    "/documents/files/{file}/edit": ("description", "category", "was_description", "was_category", "next", "view"),
    "/patients/new": ("first_name", "birth_date", "gender"),
    "/patients/{patient}/people": ("email", "level", "expires_at", "zone", "remove"),
    "/patients/{patient}/visits/new": ("creation_key", "date", "reason", "next"),
    "/visit/{visit}/edit": ("remove", "date", "reason"),
    "/account/tokens/new": ("name", "scope", "patient", "days"),
    "/account/password": ("password", "new_password"),
    "/sign-in": ("email", "password", "next", "remember"),
}  # fmt: skip


def queries() -> Iterator[Input]:
    for path, names in ASKED.items():
        for name in names:
            chance = random.Random(path + name)
            values = (*chance.sample(VALUES, OWN), *chance.sample(strings(), FEW), *chance.sample(scripts(), FEW))
            for value in values:
                htmx = chance.random() < 0.5
                yield Input(f"{path}?{name}={value}", partial(asked, path, name, value, htmx), RIGHT)


def addresses() -> Iterator[Input]:
    """Nothing but what is there: no path, no pattern and no number that no document has."""
    for path in PLACES:
        chance = random.Random(path)
        for value in (*CLIMBING, *chance.sample(strings(), FEW)):
            spelled = value if value in CLIMBING else quote(value, safe="")
            right = RIGHT if path in ("/{}", "/{}/1", "/api/v1/{}") or "static" in path else ABSENT
            yield Input(path.format(value), partial(got, path.format(spelled or "%20")), right)


def forms() -> Iterator[Input]:
    for path, names in FORMS.items():
        for name in names:
            chance = random.Random(path + name)
            for value in (*chance.sample(VALUES, OWN), *chance.sample(strings(), FEW), *chance.sample(scripts(), FEW)):
                yield Input(f"{path}: {name}={value}", partial(entered, path, name, value), RIGHT)


def at(path: str, desk: Desk) -> str:
    return path.format(**desk.records, file=desk.file, patient=desk.patient)


def asked(path: str, name: str, value: str, htmx: bool, desk: Desk) -> TestResponse:
    where = f"{at(path, desk)}?{name}={quote(value.encode('utf-8', 'surrogatepass'), safe='')}"
    if path.startswith("/api"):
        return desk.by.get(where.removeprefix("/api/v1"))
    answer = (desk.browser if htmx else desk.plain).client.get(
        where, headers=desk.browser.headers if htmx else None, buffered=True
    )
    if path.endswith("/download"):
        own = desk.by.get(f"/files/{desk.file}").get_json()["file_name"]
        judge_download(answer, own)  # whatever the address would have it called
    return answer


def got(path: str, desk: Desk) -> TestResponse:
    """As it is written, not as a client would tidy it up."""
    headers = desk.by.headers if path.startswith("/api") else {}
    sent = path.encode("utf-8", "surrogatepass").decode("latin-1")
    answer = desk.plain.client.get("/", headers=headers, environ_overrides={"PATH_INFO": unquoted(sent)}, buffered=True)
    assert "root:" not in answer.text[:200]
    assert answer.status_code != 200 or not answer.text.startswith("SQLite"), "a file of the inside"
    return answer


def unquoted(path: str) -> str:
    return unquote(path, "latin-1")


def entered(path: str, name: str, value: str, desk: Desk) -> TestResponse:
    """One field of a form that is otherwise right; bulk actions are about a document that nobody has."""
    right: dict[str, str | bytes] = {
        "reason": "Check-up", "date": "2026-05-12", "first_name": "Ella", "last_name": "Sample",
        "birth_date": "2018-03-02",
    }  # fmt: skip
    right |= {
        "action": "delete", "file_ids": "1999999999", "email": "nobody@sample.example", "level": "view", "name": "x",
        "password": "x",
    }  # fmt: skip
    sent: dict[str, str | bytes] = {**right, name: value.encode("utf-8", "surrogatepass")}
    if name == "all":
        sent["action"] = "print"
    by = desk.stranger if path == "/sign-in" else desk.plain
    return by.client.post(at(path, desk), data=encoded(sent), headers={"X-CSRFToken": by.token}, content_type=FORM)


FORM = "application/x-www-form-urlencoded"


def encoded(fields: Mapping[str, str | bytes]) -> str:
    return "&".join(f"{quote(name)}={quote(value, safe='')}" for name, value in fields.items())
