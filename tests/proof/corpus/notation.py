"""What programs send to the API as JSON: values of the wrong type, size or depth, and what is no JSON at all."""

import json
import random
from collections.abc import Iterator
from functools import partial
from typing import Any

from werkzeug.test import TestResponse

from tests.proof.corpus.desk import KINDS, Desk, Input, statuses
from tests.proof.corpus.sources import strings
from tests.support.api_client import json_values

RIGHT = statuses(200, 201, 400, 404, 409, 413, 415, 422)
NO_JSON = statuses(400, 413, 415, 422)
ABSENT = 1_999_999_999
# As they stand in the text, since Python would not write some of them.
VALUES = (
    "null", "true", "false", "0", "-1", "1", "1.5", "1.0", "-0", "1e400", "-1e400", "1e5", "1E+2", "NaN", "Infinity",
    "-Infinity", "9223372036854775807", "9223372036854775808", "-9223372036854775809", "9" * 400, "1" + "0" * 5000,
    "0.1e-999", '""', '" "', '"a"', '"0"', '"1"', '"null"', r'"\u0000"', r'"a\u0000b"', r'"\ud800"', r'"\udc00\ud800"',
    r'"\ud83d\ude00"', r'"\u202e"', r'"\u2028"', r'"\ufeff"', r'"\u0007"', r'"\\"', r'"\/"', r'"\x41"', r'"\u12"',
    '"\t"', '"\n"', '"\x7f"', '"' + "a" * 256 + '"', '"' + "a" * 10_001 + '"', '"' + "a" * 600_000 + '"',
    '"' + "\u0301" * 300 + '"', "[]", "[null]", "[[]]", "[1, 2]", '["a"]', "[-1]", "[1e3]", "[9223372036854775808]",
    "[" + "1," * 500 + "1]", "[" + "[" * 50 + "]" * 50 + "]", "[" * 5000 + "]" * 5000, "[" * 200_000, "{}", '{"a": 1}',
    '{"": ""}', '{"__proto__": {}}', '{"$ne": null}', '{"a":' * 5000 + "1" + "}" * 5000, '"2026-02-30"',
    '"0000-00-00"', '"2026-W48-4"', '"20261126"', '"9999-12-31"', '"1849-12-31"', '"2201-01-01"',
    '"2026-11-26T00:00:00"', '"2026-11-26T00:00:00+99:99"', '"2026-11-26T24:00:00Z"', '"+10000-01-01"', "1764115200",
    '"1764115200"', '"12:00"', '"view"', '"edit"', '"owner"', '"VIEW"', '"delete"', '"../.."', '"visit"', '"visits"',
    '"; DROP TABLE users"', '"%"', '"_"', "'a'", "undefined", "01", "+1", ".5", "1.", "0x10", "/*a*/1", "1 1", "", ",",
    "]",
)  # fmt: skip
BROKEN = (
    b"", b" ", b"{", b"}", b"[]", b"null", b"1", b'"a"', b"{}{}", b"{} x", b"\xef\xbb\xbf{}", "{}".encode("utf-16"),
    "{}".encode("utf-32"), b'{"a": 1', b"{'a': 1}", b"{a: 1}", b'{"a": 1,}', b'{"a" 1}', b'{"a": 1 "b": 2}', b"\x00",
    b"\xff\xfe", b"\x80", b'{"a": "\xff"}', b'{"a": "\xed\xa0\x80"}', b'{"a": "\xc0\xaf"}', b"[" * 100_000,
    b'{"a":' * 100_000, b"<xml/>", b"a=b", b"--b\r\n", b"\x1f\x8b\x08\x00", b"//\n{}", b"{}\x00", b")]}'\n{}",
    b'{"a": 1, "a": 2}', b"{" + b'"a":1,' * 50_000 + b'"b":1}', b'{"\xff": 1}', b'{"first_name": ' * 3,
)  # fmt: skip
MEDIA = (
    "application/json", "application/problem+json", "application/json; charset=utf-16", "text/plain", "text/html", "",
    "application/x-json",
)  # fmt: skip


def places(desk: Desk) -> dict[str, tuple[str, str, dict[str, Any]]]:
    """Everything that takes JSON: method, path, and a body that is right but changes no document that others need."""
    person = {
        "first_name": "Ella", "last_name": "Sample", "birth_date": "2018-03-02", "gender": "Female", "notes": "Some.",
    }  # fmt: skip
    kinds = {kind: every_field(desk, kind) for kind in KINDS}
    return {
        "a patient": ("POST", "/patients", person),
        "a patient once more": ("PUT", f"/patients/{desk.patient}", person),
        **{f"a new {kind}": ("POST", f"/patients/{desk.patient}/{kind}", values) for kind, values in kinds.items()},
        "an old visit": ("PUT", f"/visit/{desk.records['visit']}", kinds["visit"]),
        "metadata": ("PUT", f"/files/{desk.file}/metadata", {"file_name": "letter.txt", "description": "A letter.",
        "category": "summary"}),
        "counts": ("POST", "/files/batch-counts", {"entity_type": "visit", "entity_ids": [desk.records["visit"]]}),
        "many": ("POST", "/files/bulk", {"action": "delete", "file_ids": [ABSENT], "category": None}),
        "a share": ("POST", f"/patients/{desk.patient}/shares", {"email": "no@sample.example", "level": "view",
        "expires_at": None}),
    }  # fmt: skip


def every_field(desk: Desk, kind: str) -> dict[str, Any]:
    declared = desk.world.kind(kind)
    some: dict[str, Any] = {"date": "2026-05-12", "boolean": True, "object": {"phone": "1"}}
    return {field.name: some.get(field.kind, "Some words.") for field in declared.fields} | json_values(declared)


def bodies() -> Iterator[Input]:
    """Each value in each field of each place in turn; the fields by number, for what there is is asked of the desk."""
    for number in range(PLACES):
        chance = random.Random(number)
        for value in (*VALUES, *map(json.dumps, chance.sample(strings(), 20))):
            send = partial(with_value, number, chance.randrange(1000), value)
            yield Input(f"place {number}: {value}", send, RIGHT)
        for media, body in ((MEDIA[0], body) for body in BROKEN):
            right = RIGHT if body in (b"{}", b'{"a": 1, "a": 2}') else NO_JSON
            yield Input(f"place {number}: {body[:80]!r}", partial(broken, number, media, body), right)
        for media in MEDIA[1:]:
            yield Input(f"place {number}: {media}", partial(broken, number, media, None), RIGHT)


PLACES = 11


def with_value(place: int, which: int, value: str, desk: Desk) -> TestResponse:
    method, path, right = list(places(desk).values())[place]
    name = sorted(right)[which % len(right)]
    if path == "/files/bulk" and name == "file_ids" and str(desk.file) in value:
        value = "[]"
    parts = [f"{json.dumps(key)}: {value if key == name else json.dumps(other)}" for key, other in right.items()]
    return ask(desk, method, path, "{" + ", ".join(parts) + "}")


def broken(place: int, media: str, body: bytes | None, desk: Desk) -> TestResponse:
    method, path, right = list(places(desk).values())[place]
    return ask(desk, method, path, json.dumps(right).encode() if body is None else body, media)


def ask(desk: Desk, method: str, path: str, body: str | bytes, media: str = "application/json") -> TestResponse:
    data = body.encode("utf-8", "surrogatepass") if isinstance(body, str) else body
    return desk.by.ask(method, path, {"Content-Type": media}, data=data)
