"""Names of documents, by every way in which one can be given."""

import random
from collections.abc import Callable, Iterator
from functools import partial
from urllib.parse import quote

from werkzeug.test import TestResponse

from tests.http.test_file_names import NASTY
from tests.proof.corpus.desk import Desk, Input, statuses
from tests.proof.corpus.sources import strings
from tests.support import samples
from tests.support.api_client import RAW, end, part

SOME = 350  # names, by each way but the first
RIGHT = statuses(201, 415, 422)
SENT_BY_FORM = statuses(201, 303, 400, 415, 422)
MORE = (
    "a.pdf\0.exe", "a%00.txt", "CON", "aux.txt", "nul.txt.", "COM1.txt", "LPT\u00b9.txt", "...txt", "~$a.txt",
    "a\u202e.txt", "\ud800.txt", "a\ud83d.txt", "\U0010ffff.txt", "\ue000.txt", "\u0378.txt", "a" * 4000 + ".txt",
    "\u0301" * 300 + ".txt", "\U0001f468\u200d\U0001f469" * 60 + ".txt", "a." + "b" * 300, ".txt" * 80, "a.txt/",
    "a.txt\\", "//server/share/a.txt", "file:///etc/passwd.txt", "http://a.example/b.txt", "a.txt:stream",
    "a.txt::$DATA", "-rf *.txt", "$(id).txt", "`id`.txt", "a;rm -rf.txt", "a|b.txt", "%2e%2e%2fa.txt", "..%c0%afa.txt",
    "${jndi:ldap://a.example/x}.txt", "{{7*7}}.txt", "\x1b[31mred.txt", "a\x7fb.txt", "a\x85b.txt", "\xad.txt",
    "\u115f.txt", "\u3164.txt", "\u200b\u200c\u200d.txt", "\ufeff.txt", "=1+1.txt", "@SUM(A1).txt", "+1.txt", "-1.txt",
    "\ta.txt", "a\u2028b.txt", "a\u2029b.txt", "\u2066a\u2069.txt", "'; DROP TABLE entity_files;--.txt", "%s%n%x.txt",
    "a.TXT ", "a.txt\u3000", "\uff0e\uff0e\uff0fa.txt",
)  # fmt: skip
LETTERS = (
    "".join(map(chr, range(0x20, 0x7F)))
    + "\0\t\r\n\x1b\x7f\x85äß日本語العربية🩻\u0301\u200d\u202e\u2066\u2028\ufeff\ud800"
)
RANDOM = 60


def every() -> list[str]:
    chance = random.Random("names")
    made = ["".join(chance.choices(LETTERS, k=chance.randrange(1, 300))) for _ in range(RANDOM)]
    return [*(f"{name}.txt" for name in (*strings(), *made)), *NASTY, *MORE]


def names() -> Iterator[Input]:
    for way, right in WAYS.items():
        for name in every() if way is raw else random.Random(way.__name__).sample(every(), SOME):
            stores = way is not renamed
            yield Input(f"{way.__name__}: {name}", partial(way, name), right, stores, samples.txt if stores else None)


def raw(name: str, desk: Desk) -> TestResponse:
    spelled = quote(name.encode("utf-8", "surrogatepass"), safe="")
    headers = {"Content-Disposition": f"attachment; filename*=UTF-8''{spelled}"}
    return desk.by.ask("POST", path(desk), headers, data=samples.txt(), content_type=RAW)


def form(name: str, desk: Desk) -> TestResponse:
    spelled = name.encode("utf-8", "replace").decode()
    body = part(spelled, samples.txt()) + end()
    headers = {"X-CSRFToken": desk.plain.token}
    kind = "multipart/form-data; boundary=b"
    return desk.plain.client.post(f"/documents{path(desk)}", data=body, content_type=kind, headers=headers)


def renamed(name: str, desk: Desk) -> TestResponse:
    """An existing document is given that name; what it is called then is as safe as what a new one is called."""
    answer = desk.by.put(f"/files/{desk.file}/metadata", {"file_name": name})
    if answer.status_code == 200:
        called = answer.get_json()["file_name"]
        assert called.lower().endswith(".txt"), called
        assert called.isprintable() or not set(called) & set("\0\r\n\x1b\u202e\u2066"), called
    return answer


def path(desk: Desk) -> str:
    return f"/visit/{desk.records['visit']}/files"


WAYS: dict[Callable[[str, Desk], TestResponse], frozenset[int]] = {
    raw: RIGHT,
    form: SENT_BY_FORM,
    renamed: statuses(200, 400, 422),
}
