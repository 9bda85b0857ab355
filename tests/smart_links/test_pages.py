"""SMART Health Links on the pages of their senders: offered, created, shown once, listed, ended."""

from typing import Any

import lxml.html
import pytest
import zxingcpp
from flask.testing import FlaskClient
from PIL import Image, ImageDraw
from sqlalchemy import select
from werkzeug.test import TestResponse

from medfiles.clock import now
from medfiles.database.session import db, transaction
from medfiles.models import EntityFile, ShareLink, SmartLink
from medfiles.smart_links import rules
from medfiles.web import qr, smart_links
from tests.smart_links.doubles import told as told
from tests.support.factories import Smart, World, token_of, words

KINDS = list(rules.KINDS)


@pytest.fixture
def here(world: World, monkeypatch: pytest.MonkeyPatch) -> FlaskClient:
    monkeypatch.setitem(world.app.config, "MEDFILES_PUBLIC_URL", "http://localhost")
    return world.client()


@pytest.fixture
def link(world: World) -> ShareLink:
    return world.link(world.attach(world.record()), allow_download=True).link


def page(answer: TestResponse) -> Any:
    return lxml.html.fromstring(answer.data)


def create(client: FlaskClient, link: ShareLink, kind: str = "desk", **fields: str) -> TestResponse:
    sent = {"csrf_token": token_of(client), "kind": kind, "each_document": "y", **fields}
    return client.post(f"/links/{link.id}/smart", data=sent)


def created(world: World, client: FlaskClient, link: ShareLink, kind: str = "desk") -> tuple[Smart, TestResponse]:
    """A link whose documents were prepared, and the page that shows it."""
    answer = create(client, link, kind)
    assert answer.status_code == 303
    world.keep_house()
    shown = client.get(answer.location)
    [address] = page(shown).xpath("//input[@id='mf-link']/@value")
    number = int(answer.location.rpartition("/")[2])
    return Smart(number, address.partition("#")[2]), shown


def stored() -> list[SmartLink]:
    db.session.rollback()
    return list(db.session.scalars(select(SmartLink).order_by(SmartLink.id)))


def scanned(answer: TestResponse) -> str:
    """The text of the QR code on a page, as a camera sees it."""
    [svg] = page(answer).xpath("//*[local-name()='svg'][contains(@class, 'mf-ready-qr')]")
    size, scale = int(svg.get("viewbox").split()[2]), 6
    picture = Image.new("L", (size * scale, size * scale), 255)
    drawn = ImageDraw.Draw(picture)
    for part in svg.xpath(".//*[local-name()='path']/@d")[0].split("M")[1:]:
        x, y = map(int, part.partition("h")[0].split())
        drawn.rectangle((x * scale, y * scale, (x + 1) * scale - 1, (y + 1) * scale - 1), fill=0)
    [found] = zxingcpp.read_barcodes(picture)
    assert found.format == zxingcpp.BarcodeFormat.QRCode
    return str(found.text)


@pytest.mark.parametrize("kind", KINDS)
def test_code_is_shown_with_the_link(world: World, here: FlaskClient, link: ShareLink, kind: str) -> None:
    smart, shown = created(world, here, link, kind)
    assert scanned(shown) == f"http://localhost/shl/v#{smart.text}"
    assert smart.payload["url"].startswith("http://localhost/shl/")
    assert stored()[0].kind == kind


def test_desk_is_chosen_first(here: FlaskClient, link: ShareLink) -> None:
    answer = page(here.get(f"/links/{link.id}"))
    assert answer.xpath("//input[@name='kind']/@value") == KINDS
    assert answer.xpath("//input[@name='kind'][@checked]/@value") == ["desk"]


def test_size_of_the_documents_is_said_before_creating(here: FlaskClient, link: ShareLink) -> None:
    assert "A SMART Health Link can hold 15 MB." in words(here.get(f"/links/{link.id}"))


def test_page_of_a_new_share_link_offers_one_in_a_new_tab(world: World, here: FlaskClient) -> None:
    file = world.attach(world.record())
    sent = {"csrf_token": token_of(here), "files": file.id, "expires": "7", "access": "download"}
    answer = page(here.post(f"/patients/{file.patient_id}/share", data=sent))
    [form] = answer.xpath("//form[contains(@class, 'mf-smart-form')]")
    db.session.rollback()
    link = db.session.scalars(select(ShareLink)).one()
    assert (form.get("target"), form.get("action")) == ("_blank", f"/links/{link.id}/smart")


def test_view_only_link_says_why_there_is_none(world: World, here: FlaskClient) -> None:
    link = world.link(world.attach(world.record())).link
    answer = here.get(f"/links/{link.id}")
    assert "this link is only for viewing" in words(answer)
    assert not page(answer).xpath("//form[contains(@class, 'mf-smart-form')]")


def test_documents_that_are_too_large_are_not_offered(world: World, here: FlaskClient, link: ShareLink) -> None:
    with transaction() as session:
        session.scalars(select(EntityFile)).one().file_size = 16 * 1024 * 1024
    said = "These documents have 16 MB. A SMART Health Link can hold 15 MB."
    answer = here.get(f"/links/{link.id}")
    assert said in words(answer)
    assert not page(answer).xpath("//form[contains(@class, 'mf-smart-form')]")
    assert said in words(create(here, link))
    assert stored() == []


def test_page_waits_until_the_documents_are_prepared(world: World, here: FlaskClient, link: ShareLink) -> None:
    path = create(here, link).location
    waiting = here.get(path)
    assert "Preparing documents" in words(waiting)
    assert waiting.headers["Refresh"] == str(smart_links.REFRESH_SECONDS)
    assert "shlink:" not in waiting.text
    world.keep_house()
    assert "Refresh" not in here.get(path).headers


def test_another_browser_does_not_see_the_code(world: World, here: FlaskClient, link: ShareLink) -> None:
    smart, _ = created(world, here, link)
    answer = world.client().get(f"/links/{link.id}/smart/{smart.id}")
    assert "Code no longer shown" in words(answer)
    assert smart.payload["key"] not in answer.text


def test_cookie_is_for_this_page_alone(here: FlaskClient, link: ShareLink) -> None:
    answer = create(here, link)
    [cookie] = [line for line in answer.headers.getlist("Set-Cookie") if line.startswith("medfiles-smart-link=")]
    assert f"Path={answer.location}" in cookie
    assert "HttpOnly" in cookie
    assert "SameSite=Strict" in cookie
    assert "shlink" not in cookie


def test_code_is_no_longer_shown_once_it_ended(world: World, here: FlaskClient, link: ShareLink) -> None:
    smart, _ = created(world, here, link)
    world.smart_links().end_smart(link.id, smart.id)
    assert "Code no longer shown" in words(here.get(f"/links/{link.id}/smart/{smart.id}"))


def test_listed_with_state_and_ended(world: World, here: FlaskClient, link: ShareLink) -> None:
    smart, _ = created(world, here, link, "paper")
    [row] = page(here.get(f"/links/{link.id}")).xpath("//ul[contains(@class, 'mf-smart-list')]/li")
    assert " ".join(row.text_content().split()).startswith("On paper Active created")
    sent = {"csrf_token": token_of(here)}
    answer = here.post(f"/links/{link.id}/smart/{smart.id}/end", data=sent)
    assert "SMART Health Link ended." in words(here.get(answer.location))
    [row] = page(here.get(f"/links/{link.id}")).xpath("//ul[contains(@class, 'mf-smart-list')]/li")
    assert "On paper Ended" in " ".join(row.text_content().split())
    assert not row.xpath(".//form")


def test_each_document_can_be_left_out(here: FlaskClient, link: ShareLink) -> None:
    here.post(f"/links/{link.id}/smart", data={"csrf_token": token_of(here), "kind": "desk"})
    assert [row.each_document for row in stored()] == [False]


def test_unknown_kind_creates_nothing(here: FlaskClient, link: ShareLink) -> None:
    assert "Choose one of" in words(create(here, link, "fax"))
    assert stored() == []


def test_hints_say_whether_the_passcode_is_asked_for(world: World, here: FlaskClient) -> None:
    link = world.link(world.attach(world.record()), allow_download=True, passcode="482107").link
    said = words(here.get(f"/links/{link.id}"))
    assert said.count("Opens without the passcode.") == 2
    assert said.count("Asks for the passcode of this link.") == 2


def test_longest_link_fits_a_code_of_version_15() -> None:
    public = "https://" + "x" * (rules.LONGEST_URL - len("https://") - len("/shl/") - 43 - len("/manifest"))
    kind, link = rules.KINDS["up-to-date"], ShareLink(passcode_hash="?")
    expires_at = now()
    flags = rules.flags_of(kind, link)
    text = rules.payload(rules.url(f"{public}/shl/", "A" * 43, flags), b"\xfb" * 32, flags, expires_at)
    drawn = qr.qr_code(f"{public}/shl/v#{text}")
    version = (drawn.size - 2 * qr.QUIET_ZONE - 17) // 4
    assert version <= 15
