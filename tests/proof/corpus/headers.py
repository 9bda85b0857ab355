"""Headers that lie, break their own grammar or hold what no header should: most of them on an ordinary request."""

import hashlib
import itertools
import random
from collections.abc import Iterator, Mapping
from functools import partial

from werkzeug.test import TestResponse

from tests.proof.corpus.desk import Desk, Input, statuses
from tests.proof.corpus.names import path
from tests.proof.corpus.sources import strings
from tests.support import samples
from tests.support.api_client import RAW

STORED = statuses(201, 400, 415, 422)
PAGE = statuses(200, 302, 303, 304, 308, 400, 401, 403, 404, 405, 412, 413, 416, 422)
FORMS = (
    "", ";", "=", "attachment", "attachment;", "attachment; filename", "attachment; filename=",
    "attachment; filename=a.txt", 'attachment; filename=""', 'attachment; filename="a.txt',
    'attachment; filename="a\\"b.txt"', 'attachment; filename="a\\\\b.txt"', "attachment; filename='a.txt'",
    "attachment; FILENAME=a.txt", "ATTACHMENT; filename=a.txt", "inline; filename=a.txt",
    "form-data; name=file; filename=a.txt", "attachment filename=a.txt", "attachment,filename=a.txt", "filename=a.txt",
    "attachment; filename=a.txt; filename=b.txt", "attachment; filename*=UTF-8''a.txt; filename=b.txt",
    "attachment; filename=b.txt; filename*=UTF-8''a.txt", "attachment; filename=a.txt; filename*=UTF-8''a.exe",
    "attachment; filename*0=a; filename*1=.txt", "attachment; filename*0*=UTF-8''a; filename*1*=.txt",
    "attachment; filename*99999999=a.txt", "attachment; filename*-1=a.txt", "attachment; filename*=a.txt",
    "attachment; filename*='a.txt", "attachment; filename*=''a.txt", "attachment; filename*=UTF-8'a.txt",
    "attachment; filename**=UTF-8''a.txt", "attachment; filename*=UTF-8''%", "attachment; filename*=UTF-8''%2",
    "attachment; filename*=UTF-8''%GG.txt", "attachment; filename*=UTF-8''%00.txt",
    "attachment; filename*=UTF-8''%0d%0aX: y.txt", "attachment; filename*=UTF-8''%2e%2e%2fa.txt",
    "attachment; filename*=UTF-8''%c0%af.txt", "attachment; filename*=UTF-8''%ed%a0%80.txt",
    "attachment; filename*=UTF-8''%f4%90%80%80.txt", 'attachment; filename*="UTF-8\'\'a.txt"',
    "attachment; filename=a.txt; size=-1", "attachment; x=y; filename=a.txt; creation-date=now",
    "attachment; " + "a=b; " * 5000 + "filename=a.txt", "attachment; filename=" + "a" * 60_000 + ".txt",
    "attachment" + ";" * 20_000, "attachment; filename=" + '"' * 20_000,
    "attachment; filename*=UTF-8''" + "%41" * 20_000 + ".txt", "attachment; filename=a.txt\t; b",
    "attachment;filename=a.txt", " attachment ; filename = a.txt ", 'attachment; filename="=?UTF-8?B?YS50eHQ=?="',
    "attachment; filename=a b.txt",
)  # fmt: skip
CHARSETS = (
    "UTF-8", "utf-8", "utf8", "ISO-8859-1", "us-ascii", "UTF-16", "UTF-7", "UTF-32", "utf-8-sig", "punycode", "idna",
    "rot13", "hex", "base64", "zlib", "unicode_escape", "raw_unicode_escape", "mbcs", "cp1252", "shift_jis", "gb18030",
    "big5", "EBCDIC-CP-BE", "", "no-such", "../../etc", "a" * 5000, "\xff",
)  # fmt: skip
LANGUAGES, SPELLED = ("", "en", "x" * 300), ("a.txt", "%e2%82%ac.txt", "%ff%fe.txt", "+AGE-.txt")
LAST = "99999999999999999999999999"
RANGES = (
    *(f"bytes={each}" for each in (
        "", "-", "0", "0-", "-0", "-1", "0-0", "1-0", "5-2", "0-999999", f"0-{LAST}", f"{LAST}-", f"{LAST}-{LAST}",
        f"-{LAST}", "a-b",
        "0-0,", ",0-0", "0-0,1-1", "0-0, 2-3", ",".join(["0-0"] * 2000), ",".join(f"{n}-{n}" for n in range(500)),
        "0-0,-1", "--1", "-1-",
        "+1-2", "0x1-0x2", "1.0-2", "1e3-", " 0-1", "0 -1", "0- 1", "٠-١", "0-1;", "0-1,x", "-0,-0", "\xa0-1",
        "0-" + "9" * 5000,
        "9" * 5000 + "-",
    )),
    "", "bytes", "=", "bytes=0-1=2", "BYTES=0-1", "Bytes = 0-1", "bits=0-1", "seconds=0-1", "none", "*", "bytes 0-1",
    "bytes=0-1\t",
    "bytes=" + "0-1," * 5000, "\xff\xfe", "x" * 60_000,
)  # fmt: skip
TAGS = (
    "", "*", "**", '"', '""', '"*"', "W/", 'W/"a"', 'w/"a"', "a", '"a', 'a"', '"a","b"', '"a" "b"', "*, *", '*, "a"',
    ",", ",,,", '"a\\"b"',
    ",".join(f'"{n}"' for n in range(5000)), '"' + "a" * 60_000 + '"', '"\xff"', "W/*", "{tag}", "W/{tag}",
    '{tag}, "x"', "{tag} ", "'{tag}'",
    "Thu, 26 Nov 2026 00:00:00 GMT", "0", "-1", LAST,
)  # fmt: skip
DATES = (
    "", "0", "-1", "now", "Thu, 26 Nov 2026 00:00:00 GMT", "Thu, 26 Nov 9999 99:99:99 GMT",
    "Thu, 01 Jan 0000 00:00:00 GMT", "x" * 60_000, "Thu, 26 Nov 2026 00:00:00 +9999999", "31 Feb 2026", LAST,
    "2026-11-26T00:00:00Z", "\xff", "Sun, 06 Nov 1994 08:49:37 GMT; length=1",
)  # fmt: skip
KEYS = (
    "", " ", "a" * 255, "a" * 256, "a" * 60_000, "\x7f", "ü".encode().decode("latin-1"), "a b", "'", '"', "a\tb",
    "\xa0", "%00", "0", "null",
)  # fmt: skip
# On a page: what reads them has a library behind it that others have stumbled in.
COMMON: Mapping[str, tuple[str, ...]] = {
    "Accept": ("*/*;q=2", "text/html;q=NaN", "a" * 60_000, "text/html," * 5000, ";q=", "*/*;q=-1", "\xff"),
    "Accept-Encoding": ("gzip;q=1e9", "identity;q=0,*;q=0", "," * 5000),
    "Accept-Language": ("en-" + "x" * 5000, "en;q=9e999", "zz-ZZ-zz", "*", "en_GB@euro", "../..",
    "en-US,en;q=" + "9" * 400, "\xff", "en-GB-oed", "_"),
    "Authorization": ("Bearer", "Bearer ", "Bearer mf_", "bearer x", "Basic", "Basic !!!", "Basic " + "=" * 5000,
    "Digest a", "\xff", "Negotiate x", "Bearer \xff"),
    "Content-Type": ("a", "a/b/c", "text/html; charset=no-such", "application/json; charset=utf-7", ";",
    "multipart/form-data", "\xff/\xff", "x" * 60_000),
    "Cookie": ("=", ";", "medfiles", "medfiles=", "medfiles=x; medfiles=y", "medfiles=" + "x" * 60_000, "a=b;" * 5000,
    "\xff=\xff", 'medfiles="\\303\\274"', "__Host-medfiles=x"),
    "Forwarded": ("for=_x", 'for="[::1]"', "for=" * 5000),
    "Host": ("a.example", "", "a b", "[::1", "a:99999", "a:x", "\xff", "a" * 60_000, "../..", "a/b",
    "localhost:80@evil.example", "[::1]:x", "*"),
    "HX-Current-URL": ("javascript:alert(1)", "http://[", "\xff", "x" * 60_000, "//evil.example"),
    "HX-Request": ("false", "TRUE", "1", "\xff", "x" * 5000),
    "HX-Target": ("<script>", "x" * 60_000, "\xff"),
    "Origin": ("null", "http://evil.example", "\xff", "http://["),
    "Referer": ("http://evil.example", "http://[", "javascript:x", "\xff"),
    "Transfer-Encoding": ("chunked", "gzip, chunked", "identity", "x"),
    "User-Agent": ("", "x" * 60_000, "(" * 5000, "Mozilla/5.0 " * 500, "\xff", "<script>alert(1)</script>",
    "${jndi:ldap://a.example}", "\x1b[31m"),
    "X-CSRFToken": ("", "a.b.c", "x" * 60_000, "\xff", "....", "IiI.aaaa.bbbb"),
    "X-Forwarded-For": ("127.0.0.1", "a, b, c", "\xff", "x" * 60_000, "::ffff:1.2.3.4%eth0"),
    "X-Forwarded-Host": ("evil.example", "\xff"),
    "X-Forwarded-Proto": ("https", "javascript"),
    "X-HTTP-Method-Override": ("DELETE", "PURGE"),
    "X-Request-Id": ("x" * 60_000, "a\tb", "\xff", "${jndi:ldap://a.example}"),
}  # fmt: skip
FEW, QUOTED = 20, 150  # naughty strings for each header, and as names of documents


def headers() -> Iterator[Input]:
    yield from _dispositions()
    for name in ("Range", "If-Range", "If-None-Match", "If-Match", "If-Modified-Since", "If-Unmodified-Since"):
        values = {"Range": RANGES, "If-Modified-Since": DATES, "If-Unmodified-Since": DATES}.get(name, TAGS)
        for value in (*values, *_some(name)):
            yield Input(f"{name}: {value}", partial(download, name, value), statuses(200, 206, 304, 416))
    for value in (*TAGS, *_some("change")):
        yield Input(f"If-Match: {value} on a change", partial(change, value), statuses(200, 400, 412, 422))
    for value in (*KEYS, *_some("Idempotency-Key")):
        yield Input(f"Idempotency-Key: {value}", partial(again, value), statuses(200, 201, 422), True, samples.txt)
    for name, values in COMMON.items():
        for value in (*values, *_some(name)):
            yield Input(f"{name}: {value}", partial(page, name, value), PAGE)


def _dispositions() -> Iterator[Input]:
    spelled = (
        f"attachment; filename*={charset}'{language}'{name}"
        for charset, language, name in itertools.product(CHARSETS, LANGUAGES, SPELLED)
    )
    quoted = (
        'attachment; filename="{}.txt"'.format(value.replace('"', '\\"'))
        for value in random.Random(0).sample(strings(), QUOTED)
    )
    for value in (*FORMS, *spelled, *quoted, *_some("bare")):
        send = partial(disposition, value)
        yield Input(f"Content-Disposition: {value}", send, STORED, stores=True, content=samples.txt)


def _some(name: str) -> list[str]:
    return random.Random(name).sample(strings(), FEW)


def header(value: str) -> str:
    """As bytes arrive: UTF-8, of which a server makes Latin-1. What ends a header is for sockets."""
    sent = (
        value
        if value.isascii() or all(ord(letter) < 256 for letter in value)
        else value.encode("utf-8", "replace").decode("latin-1")
    )
    return sent.replace("\r", " ").replace("\n", " ").replace("\0", " ")


def disposition(value: str, desk: Desk) -> TestResponse:
    sent = {"Content-Disposition": header(value)}
    return desk.by.ask("POST", path(desk), sent, data=samples.txt(), content_type=RAW)


def download(name: str, value: str, desk: Desk) -> TestResponse:
    answer = desk.by.ask("GET", f"/files/{desk.file}/download", {name: header(_tagged(value, samples_tag()))})
    whole = samples.txt()
    assert answer.status_code != 200 or answer.data == whole, "other bytes than asked for"
    assert answer.status_code != 206 or answer.data in whole, "bytes that are not in the document"
    return answer


def samples_tag() -> str:
    return f'"{hashlib.sha256(samples.txt()).hexdigest()}"'


def _tagged(value: str, tag: str) -> str:
    return value.replace("{tag}", tag)


def change(value: str, desk: Desk) -> TestResponse:
    tag = desk.by.get(f"/files/{desk.file}").headers["ETag"]
    sent = {"If-Match": header(_tagged(value, tag))}
    return desk.by.ask("PUT", f"/files/{desk.file}/metadata", sent, json={"description": "Changed."})


def again(value: str, desk: Desk) -> TestResponse:
    """Twice: the second is the first one's retry, or refused as that was."""
    sent = {"Idempotency-Key": header(value), "Content-Disposition": "attachment; filename=again.txt"}
    first, second = (desk.by.ask("POST", path(desk), sent, data=samples.txt(), content_type=RAW) for _ in range(2))
    assert second.status_code in {200: (200,), 201: (200,)}.get(first.status_code, (first.status_code,))
    return first


def page(name: str, value: str, desk: Desk) -> TestResponse:
    sent = {name: header(value)}
    if name in ("Authorization", "Cookie"):
        return desk.world.app.test_client(use_cookies=False).get(f"/api/v1/files/{desk.file}", headers=sent)
    if name in ("Content-Type", "X-CSRFToken"):
        where = f"/documents/files/{desk.file}/edit"
        return desk.plain.client.post(
            where, headers={"X-CSRFToken": desk.plain.token, **sent}, data=b"description=Changed."
        )
    return desk.plain.client.get(f"/documents/procedure/{desk.records['procedure']}/badge", headers=sent)
