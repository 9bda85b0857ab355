"""The public pages of share links: landing, list, documents of every kind, downloads, headers and the cookie."""

import io
import time
import zipfile

import lxml.html
import pytest
from flask.testing import FlaskClient
from structlog.testing import capture_logs
from werkzeug.test import TestResponse

from medfiles.http import rate_limits
from medfiles.models import EntityFile
from tests.browser import papers
from tests.support import samples
from tests.support.factories import World, words

PRIVATE = ("Not for readers", "nora@sample.example")


@pytest.fixture
def file(world: World) -> EntityFile:
    return world.attach(world.record(reason=PRIVATE[0]), "Referral.pdf")


def browser(world: World) -> FlaskClient:
    return world.app.test_client()


def opened(world: World, token: str | None, **fields: str) -> FlaskClient:
    reader = browser(world)
    assert reader.post(f"/s/{token}/open", data=fields).status_code == 303
    return reader


def test_landing_says_who_shares_how_many_and_no_more(world: World, file: EntityFile) -> None:
    made = world.link(file, sender="Nora", note="For the knee", label="Dr. Placeholder")
    page = browser(world).get(f"/s/{made.token}")
    assert "Nora shares 1 document with you" in words(page)
    assert "For the knee" in words(page)
    for secret in (*PRIVATE, "Referral", "Ella", "Dr. Placeholder"):
        assert secret not in page.text


def test_landing_without_a_sender_names_none(world: World, file: EntityFile) -> None:
    assert "1 document is shared with you" in words(browser(world).get(f"/s/{world.link(file).token}"))


@pytest.mark.parametrize("method", ["GET", "HEAD"])
def test_looking_opens_nothing(world: World, file: EntityFile, method: str) -> None:
    made, before = world.link(file), len(world.events())
    for path in ("", f"/documents/{file.id}", f"/documents/{file.id}/pages/1", f"/documents/{file.id}/thumbnail"):
        answer = browser(world).open(f"/s/{made.token}{path}", method=method)
        assert answer.status_code in (200, 303, 404)
    assert len(world.events()) == before


def test_opened_link_lists_documents_of_the_patient_without_the_app(world: World, file: EntityFile) -> None:
    made = world.link(file)
    page = opened(world, made.token).get(f"/s/{made.token}")
    assert {"Ella Sample", "Referral"} <= {part for part in ("Ella Sample", "Referral") if part in words(page)}
    for secret in (*PRIVATE, "csrf", "/documents/files/", "/patients/", "mf-side"):
        assert secret not in page.text


@pytest.mark.parametrize(
    ("name", "content", "expected"),
    [
        ("Letter.pdf", samples.pdf(), "mf-shared-page"),
        ("Photo.jpg", samples.SAMPLES[".jpg"](), "mf-shared-page"),
        ("Scan.dcm", samples.SAMPLES[".dcm"](), "Not for diagnosis"),
        ("Note.txt", b"Two tablets a day.", "Two tablets a day."),
        ("Values.csv", b"Day,Value\n1,120\n", '<td dir="auto">120</td>'),
        ("Report.docx", samples.SAMPLES[".docx"](), "mf-prose"),
    ],
)
def test_every_kind_of_document_is_shown(world: World, name: str, content: bytes, expected: str) -> None:
    file = world.attach(world.patient(), name, content)
    made = world.link(file)
    reader = opened(world, made.token)
    page = reader.get(f"/s/{made.token}/documents/{file.id}")
    assert page.status_code == 200
    assert expected in page.text
    if "<figure" in page.text:
        picture = reader.get(f"/s/{made.token}/documents/{file.id}/pages/1?width=960", buffered=True)
        assert (picture.status_code, picture.mimetype) == (200, "image/webp")


def test_view_only_offers_and_gives_no_bytes(world: World, file: EntityFile) -> None:
    made = world.link(file)
    reader = opened(world, made.token)
    page = reader.get(f"/s/{made.token}/documents/{file.id}")
    assert "Download" not in page.text
    assert reader.get(f"/s/{made.token}/documents/{file.id}/download").status_code == 403


def test_downloads_are_the_very_bytes(world: World) -> None:
    record = world.record()
    files = [world.attach(record, name, text) for name, text in (("A.txt", b"First"), ("B.txt", b"Second"))]
    made = world.link(*files, allow_download=True)
    reader = opened(world, made.token)
    one = reader.get(f"/s/{made.token}/documents/{files[0].id}/download", buffered=True)
    assert (one.data, one.headers["Content-Disposition"]) == (b"First", 'attachment; filename="A.txt"')
    with zipfile.ZipFile(io.BytesIO(reader.get(f"/s/{made.token}/download", buffered=True).data)) as zipped:
        assert {name: zipped.read(name) for name in zipped.namelist()} == {"A.txt": b"First", "B.txt": b"Second"}


def test_wrong_passcode_says_how_many_tries_are_left(world: World, file: EntityFile) -> None:
    made = world.link(file, passcode="482107")
    reader = browser(world)
    answer = reader.post(f"/s/{made.token}/open", data={"passcode": "000000", "reader": "Front desk"})
    assert answer.status_code == 401
    assert "You can try 4 more times." in words(answer)
    assert 'value="Front desk"' in answer.text
    assert "Set-Cookie" not in answer.headers


def test_the_fifth_wrong_passcode_answers_like_an_unknown_link(world: World, file: EntityFile) -> None:
    made = world.link(file, passcode="482107")
    answers = [browser(world).post(f"/s/{made.token}/open", data={"passcode": "000000"}) for _ in range(6)]
    unknown = browser(world).get("/s/made-up")
    assert [answer.status_code for answer in answers] == [401, 401, 401, 401, 404, 404]
    assert answers[4].data == answers[5].data == unknown.data


def test_paused_link_says_so(world: World, file: EntityFile) -> None:
    made = world.link(file)
    world.links().pause(made.link.id)
    page = browser(world).get(f"/s/{made.token}")
    assert (page.status_code, "This link is paused." in words(page)) == (403, True)
    assert lxml.html.fromstring(page.data).xpath("string(//h1)") == "Paused"


@pytest.mark.parametrize("path", ["/s/made-up", "/s/made-up/documents/1", "/s/made-up/else/where", "/s/"])
def test_whatever_does_not_exist_looks_the_same(world: World, path: str) -> None:
    page, unknown = browser(world).get(path), browser(world).get("/s/unknown")
    assert (page.status_code, page.data) == (404, unknown.data)
    assert "Sign in" not in page.text


def headers_are_private(answer: TestResponse) -> None:
    assert answer.headers["Referrer-Policy"] == "no-referrer"
    assert answer.headers["X-Robots-Tag"] == "noindex, nofollow"
    assert answer.headers["Cache-Control"] == "private, no-store"
    policy = answer.headers["Content-Security-Policy"]
    assert policy.startswith("default-src 'none'; ")
    assert "unsafe" not in policy
    assert "http" not in policy


def test_every_answer_is_kept_from_search_engines_caches_and_referrers(world: World, file: EntityFile) -> None:
    made = world.link(file, allow_download=True)
    reader = opened(world, made.token)
    for path in (
        "",
        f"/documents/{file.id}",
        f"/documents/{file.id}/pages/1",
        f"/documents/{file.id}/download",
        "/x/y",
    ):
        headers_are_private(reader.get(f"/s/{made.token}{path}", buffered=True))
    headers_are_private(reader.get("/s/made-up"))


def test_refusals_are_as_private(world: World, file: EntityFile, monkeypatch: pytest.MonkeyPatch) -> None:
    made, paused = world.link(file, passcode="482107"), world.link(file)
    world.links().pause(paused.link.id)
    wrong = browser(world).post(f"/s/{made.token}/open", data={"passcode": "000000"})
    monkeypatch.setattr(rate_limits, "LINK_OPENINGS", "1 per minute")
    flood = [browser(world).post(f"/s/{made.token}/open", data={"passcode": "482107"}) for _ in range(2)][1]
    answers = [wrong, flood, browser(world).get(f"/s/{paused.token}")]
    assert [answer.status_code for answer in answers] == [401, 429, 403]
    for answer in answers:
        headers_are_private(answer)


def test_frames_and_windows_of_an_x_ray_are_links(world: World) -> None:
    file = world.attach(world.patient(), "Chest.dcm", papers.OF_A_SCAN["Chest.dcm"]())
    made = world.link(file)
    reader, path = opened(world, made.token), f"/s/{made.token}/documents/{file.id}"
    first = lxml.html.fromstring(reader.get(path).data)
    [onward] = first.xpath("//nav[@class='mf-shared-choices']/a/@href")
    second = reader.get(onward)
    assert "2 of 12" in words(second)
    assert len(lxml.html.fromstring(second.data).xpath("//nav[@class='mf-shared-choices']/a")) == 2
    windows = first.xpath("//p[@class='mf-shared-choices']/a")
    assert [window.get("aria-current") for window in windows].count("true") == 1
    other = next(window.get("href") for window in windows if not window.get("aria-current"))
    [source] = lxml.html.fromstring(reader.get(other).data).xpath("//figure/img/@src")
    assert "window=" in source
    assert reader.get(source, buffered=True).mimetype == "image/webp"


def test_text_is_shown_in_the_encoding_that_was_chosen(world: World) -> None:
    file = world.attach(world.patient(), "Befund.txt", "Schädel: unauffällig, größer".encode("cp1252"))
    made = world.link(file)
    reader, path = opened(world, made.token), f"/s/{made.token}/documents/{file.id}"
    names = lxml.html.fromstring(reader.get(path).data).xpath("//select[@name='encoding']/option/@value")
    assert "cp1252" in names
    assert "Schädel" in words(reader.get(path, query_string={"encoding": "cp1252"}))
    assert "Schädel" not in words(reader.get(path, query_string={"encoding": "cp1251"}))


def test_list_says_how_many_documents_are_no_longer_shared(world: World, file: EntityFile) -> None:
    made = world.link(file)
    reader = opened(world, made.token)
    world.documents().trash(file.id)
    page = words(reader.get(f"/s/{made.token}"))
    assert "There are no documents left in this link." in page
    assert "1 document is no longer shared." in page


def cookie_of(answer: TestResponse) -> str:
    return answer.headers["Set-Cookie"]


def test_cookie_belongs_to_one_link_and_is_renewed(world: World, file: EntityFile) -> None:
    made, other = world.link(file), world.link(file)
    reader = browser(world)
    cookie = cookie_of(reader.post(f"/s/{made.token}/open"))
    assert f"Path=/s/{made.token};" in f"{cookie};"
    assert all(word in cookie for word in ("HttpOnly", "SameSite=Lax", "Max-Age=1800"))
    assert "medfiles-link=" in cookie_of(reader.get(f"/s/{made.token}"))
    value = cookie.split("=", 1)[1].split(";")[0]
    for forged in (value, f"{value}x", "", "a.b.c"):
        headers = {"Cookie": f"medfiles-link={forged}"}
        assert "Ella" not in browser(world).get(f"/s/{other.token}", headers=headers).text


def test_cookie_ends_after_half_an_hour_without_a_request(
    world: World, file: EntityFile, monkeypatch: pytest.MonkeyPatch
) -> None:
    made = world.link(file)
    reader = opened(world, made.token)
    later = time.time() + 1801
    monkeypatch.setattr("itsdangerous.timed.TimestampSigner.get_timestamp", lambda self: int(later))
    assert "Ella" not in reader.get(f"/s/{made.token}").text


def test_a_flood_of_openings_is_stopped(world: World, file: EntityFile, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(rate_limits, "LINK_OPENINGS", "3 per minute")
    made = world.link(file)
    assert [browser(world).post(f"/s/{made.token}/open").status_code for _ in range(4)] == [303, 303, 303, 429]


def test_token_is_in_no_line_of_the_log(world: World, file: EntityFile) -> None:
    made = world.link(file)
    with capture_logs() as lines:
        reader = opened(world, made.token)
        for path in ("", f"/documents/{file.id}", "/else/where", f"/documents/{file.id}/download"):
            reader.get(f"/s/{made.token}{path}", buffered=True)
    assert "/s/<token>" in str(lines)
    assert str(made.token) not in str(lines)


def test_signed_in_account_sees_what_other_readers_see(world: World, file: EntityFile) -> None:
    made = world.link(file)
    client = world.client()
    client.post(f"/s/{made.token}/open")
    page = client.get(f"/s/{made.token}")
    assert "nora@sample.example" not in page.text
    assert "mf-side" not in page.text


def test_opening_tells_the_sender_the_browser_family(world: World, file: EntityFile) -> None:
    made = world.link(file)
    agent = "Mozilla/5.0 (X11; Linux x86_64; rv:140.0) Gecko/20100101 Firefox/140.0"
    browser(world).post(f"/s/{made.token}/open", data={"reader": "Front desk"}, headers={"User-Agent": agent})
    [opening] = world.links().openings(made.link.id)
    assert (opening.reader, opening.browser) == ("Front desk", "Firefox")
