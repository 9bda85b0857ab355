"""Share links on the pages of their senders: choosing, creating, the new link, lists, openings."""

from collections.abc import Sequence
from datetime import timedelta
from typing import Any

import lxml.html
import pytest
from flask.testing import FlaskClient
from sqlalchemy import select
from werkzeug.test import TestResponse

from medfiles.clock import midnight, now
from medfiles.database.session import db
from medfiles.http import links
from medfiles.models import EntityFile, Patient, ShareLink
from tests.support.factories import World, token_of, words

PUBLIC = "http://localhost"
PASSCODE = "482107"


@pytest.fixture
def here(world: World, monkeypatch: pytest.MonkeyPatch) -> FlaskClient:
    monkeypatch.setitem(world.app.config, "MEDFILES_PUBLIC_URL", PUBLIC)
    return world.client()


@pytest.fixture
def files(world: World) -> Sequence[EntityFile]:
    record = world.record()
    return [world.attach(record, name) for name in ("Letter.pdf", "Scan.pdf", "Report.pdf")]


def post(client: FlaskClient, path: str, **fields: Any) -> TestResponse:
    return client.post(path, data={"csrf_token": token_of(client), **fields})


def create(client: FlaskClient, shared: Sequence[EntityFile], **fields: Any) -> TestResponse:
    usual = {"files": [file.id for file in shared], "has_passcode": "y", "passcode": PASSCODE, "expires": "7"}
    return post(client, f"/patients/{shared[0].patient_id}/share", **{**usual, **fields})


def page(answer: TestResponse) -> Any:
    return lxml.html.fromstring(answer.data)


def chosen(answer: TestResponse) -> list[int]:
    return [int(value) for value in page(answer).xpath("//input[@type='hidden'][@name='files']/@value")]


def stored() -> list[ShareLink]:
    db.session.rollback()
    return list(db.session.scalars(select(ShareLink).order_by(ShareLink.id)))


def address(answer: TestResponse) -> str:
    [value] = page(answer).xpath("//input[@id='mf-link']/@value")
    return str(value)


# --- choosing -----------------------------------------------------------------------------------------------------


def test_without_documents_the_patients_documents_are_offered(here: FlaskClient, files: Sequence[EntityFile]) -> None:
    offered = page(here.get(f"/patients/{files[0].patient_id}/share")).xpath("//input[@type='checkbox']/@value")
    assert sorted(map(int, offered)) == [file.id for file in files]


def test_a_patient_without_documents_has_nothing_to_share(here: FlaskClient, world: World) -> None:
    answer = here.get(f"/patients/{world.patient().id}/share")
    assert "No documents to share" in words(answer)


def test_form_shows_the_documents_asked_for_in_that_order(here: FlaskClient, files: Sequence[EntityFile]) -> None:
    first, second, _ = files
    answer = here.get(f"/patients/{first.patient_id}/share?files={second.id}&files={first.id}")
    assert chosen(answer) == [second.id, first.id]


def test_documents_of_another_patient_are_left_out(
    here: FlaskClient, world: World, files: Sequence[EntityFile]
) -> None:
    other = world.attach(world.record(patient=world.patient(first_name="Ben")))
    answer = here.get(f"/patients/{files[0].patient_id}/share?files={files[0].id},{other.id}")
    assert chosen(answer) == [files[0].id]


def test_documents_that_are_gone_are_said_to_be(here: FlaskClient, files: Sequence[EntityFile]) -> None:
    answer = here.get(f"/patients/{files[0].patient_id}/share?files=999999")
    assert "These documents cannot be shared." in words(answer)


@pytest.mark.parametrize(
    ("do", "left"), [("remove:1", [0, 2]), ("left:1", [1, 0, 2]), ("right:1", [0, 2, 1]), ("keep", [0, 1, 2])]
)
def test_buttons_change_the_documents_and_keep_the_form(
    here: FlaskClient, files: Sequence[EntityFile], do: str, left: list[int]
) -> None:
    action, _, place = do.partition(":")
    answer = create(here, files, label="Dr. Placeholder", do=f"{action}:{files[int(place)].id}" if place else action)
    assert chosen(answer) == [files[number].id for number in left]
    assert page(answer).xpath("//input[@name='label']/@value") == ["Dr. Placeholder"]
    assert page(answer).xpath("//input[@name='passcode']/@value") == [PASSCODE]
    assert stored() == []


def test_other_documents_can_be_added(here: FlaskClient, files: Sequence[EntityFile]) -> None:
    answer = here.get(f"/patients/{files[0].patient_id}/share?files={files[0].id}")
    offered = page(answer).xpath("//details//input[@name='files']/@value")
    assert sorted(map(int, offered)) == [file.id for file in files[1:]]


def test_form_suggests_a_passcode_of_six_digits(here: FlaskClient, files: Sequence[EntityFile]) -> None:
    answer = page(here.get(f"/patients/{files[0].patient_id}/share?files={files[0].id}"))
    [suggested] = answer.xpath("//input[@name='passcode']/@value")
    assert len(suggested) == 6
    assert suggested.isdigit()
    assert answer.xpath("//input[@name='has_passcode']/@checked")


# --- creating -----------------------------------------------------------------------------------------------------


def test_link_has_what_was_entered(here: FlaskClient, files: Sequence[EntityFile]) -> None:
    fields = {"label": "Dr. Placeholder", "sender": "Nora", "note": "Left knee", "access": "download"}
    assert create(here, files, **fields).status_code == 200
    [link] = stored()
    said = (link.label, link.sender, link.note, link.allow_download, (link.expires_at - link.created_at).days)
    assert said[:4] == ("Dr. Placeholder", "Nora", "Left knee", True)
    assert said[4] in (6, 7)


def test_new_link_opens_with_its_passcode(here: FlaskClient, world: World, files: Sequence[EntityFile]) -> None:
    url = address(create(here, files))
    assert url.startswith(f"{PUBLIC}/s/")
    shared, _ = world.reader().open(url.rpartition("/")[2], PASSCODE, None, None)
    assert [file.id for file in shared.documents] == [file.id for file in files]


def test_passcode_can_be_switched_off(here: FlaskClient, files: Sequence[EntityFile]) -> None:
    answer = create(here, files, has_passcode="")
    assert PASSCODE not in answer.text
    assert [link.passcode_hash for link in stored()] == [None]


def test_new_link_is_shown_once_and_never_stored(here: FlaskClient, files: Sequence[EntityFile]) -> None:
    answer = create(here, files)
    token = address(answer).rpartition("/")[2]
    assert answer.headers["Cache-Control"] == "private, no-store"
    for path in ("/links", f"/links/{stored()[0].id}", f"/patients/{files[0].patient_id}/links"):
        assert token not in here.get(path).text


def test_the_same_form_creates_one_link(here: FlaskClient, files: Sequence[EntityFile]) -> None:
    create(here, files, creation_key="some-form")
    again = create(here, files, creation_key="some-form")
    [link] = stored()
    assert (again.status_code, again.location) == (303, f"/links/{link.id}")


def test_qr_code_is_an_inline_picture_without_styles(here: FlaskClient, files: Sequence[EntityFile]) -> None:
    answer = create(here, files)
    [code] = page(answer).xpath("//svg[@role='img']")
    assert code.xpath("./path/@d")
    assert page(answer).xpath("//@style") == []


def test_email_names_nobody_and_has_no_passcode(here: FlaskClient, files: Sequence[EntityFile]) -> None:
    [mail] = page(create(here, files, label="Dr. Placeholder")).xpath("//a[starts-with(@href, 'mailto:')]/@href")
    assert [word for word in ("Ella", "Sample", "Placeholder", PASSCODE) if word in mail] == []


@pytest.mark.parametrize(
    ("fields", "message"),
    [
        ({"passcode": "123"}, "Enter a passcode of 6 to 64 characters."),
        ({"expires": "date"}, "Enter the last day."),
        ({"expires": "date", "expires_at": "2020-01-01"}, "A link must expire in the future"),
        ({"files": ""}, "Choose 1 to 100 documents."),
    ],
)
def test_what_cannot_be_used_is_said_beside_it(
    here: FlaskClient, files: Sequence[EntityFile], fields: dict[str, Any], message: str
) -> None:
    answer = create(here, files, **fields)
    assert (answer.status_code, stored()) == (422, [])
    assert message in words(answer)


def test_last_day_ends_in_the_senders_time_zone(here: FlaskClient, files: Sequence[EntityFile]) -> None:
    last = now().date() + timedelta(days=20)
    create(here, files, expires="date", expires_at=last.isoformat(), zone="Asia/Tokyo")
    assert [link.expires_at for link in stored()] == [midnight(last + timedelta(days=1), "Asia/Tokyo")]


# --- off ----------------------------------------------------------------------------------------------------------


def test_without_a_public_address_the_page_says_why(world: World, files: Sequence[EntityFile]) -> None:
    client = world.client()
    assert "MEDFILES_PUBLIC_URL" in words(client.get(f"/patients/{files[0].patient_id}/share"))
    assert "MEDFILES_PUBLIC_URL" in words(client.get("/links"))
    assert create(client, files).status_code == 409


def test_an_unencrypted_address_is_warned_about(
    here: FlaskClient, files: Sequence[EntityFile], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(links, "LOCAL", ())
    answer = here.get(f"/patients/{files[0].patient_id}/share?files={files[0].id}")
    assert "This installation has no HTTPS." in words(answer)


def test_an_archived_patient_is_said_to_be(here: FlaskClient, world: World, files: Sequence[EntityFile]) -> None:
    world.records().archive_patient(files[0].patient_id)
    assert "This patient is archived" in words(here.get(f"/patients/{files[0].patient_id}/share"))
    assert create(here, files).status_code == 409


def test_viewers_cannot_share(here: FlaskClient, world: World, files: Sequence[EntityFile]) -> None:
    world.share(db.session.get_one(Patient, files[0].patient_id), "otto@sample.example")
    client = world.client("otto@sample.example")
    assert client.get(f"/patients/{files[0].patient_id}/share").status_code == 403
    assert "/share" not in client.get(f"/patients/{files[0].patient_id}").text


# --- lists and openings -------------------------------------------------------------------------------------------


def test_lists_without_links_say_so(here: FlaskClient, files: Sequence[EntityFile]) -> None:
    for path in ("/links", f"/patients/{files[0].patient_id}/links"):
        assert "No active links" in words(here.get(path))


def test_list_shows_state_documents_and_permission(
    here: FlaskClient, world: World, files: Sequence[EntityFile]
) -> None:
    world.link(*files, label="Dr. Placeholder", passcode=PASSCODE)
    shown = words(here.get("/links"))
    for said in ("Dr. Placeholder", "Active", "3 documents", "View only, passcode", "Expires in 7 days"):
        assert said in shown


@pytest.mark.parametrize("came_from", ["links", "patient", ""])
def test_pausing_resuming_and_revoking_lead_back(
    here: FlaskClient, world: World, files: Sequence[EntityFile], came_from: str
) -> None:
    link = world.link(*files).link
    number, patient_id = link.id, link.patient_id
    back = {"links": "/links", "patient": f"/patients/{patient_id}/links", "": f"/links/{number}"}[came_from]
    for action, word in (("pause", "Link paused."), ("resume", "Link resumed."), ("revoke", "Link revoked.")):
        answer = post(here, f"/links/{number}/{action}", **{"from": came_from})
        assert (answer.status_code, answer.location) == (303, back)
        assert word in words(here.get(back))


def test_a_revoked_link_is_listed_as_ended(here: FlaskClient, world: World, files: Sequence[EntityFile]) -> None:
    link = world.link(*files, label="School nurse").link
    world.links().revoke(link.id)
    for path in ("/links", "/links?ended=1"):
        [entry] = page(here.get(path)).xpath("//*[@class='mf-links-over']//li")
        assert "School nurse" in entry.text_content()
        assert "Revoked" in entry.text_content()


def test_an_ended_link_has_no_buttons(here: FlaskClient, world: World, files: Sequence[EntityFile]) -> None:
    link = world.link(*files).link
    world.links().revoke(link.id)
    assert page(here.get(f"/links/{link.id}")).xpath("//form[contains(@action, '/revoke')]") == []


def test_a_link_of_an_archived_patient_can_only_be_revoked(
    here: FlaskClient, world: World, files: Sequence[EntityFile]
) -> None:
    link = world.link(*files).link
    world.records().archive_patient(files[0].patient_id)
    [form] = page(here.get(f"/links/{link.id}")).xpath("//form[contains(@action, '/revoke')]")
    assert form.xpath(".//@formaction") == []
    post(here, str(form.get("action")))
    assert [link.revoked_at is not None for link in stored()] == [True]


def test_openings_name_reader_browser_network_and_documents(
    here: FlaskClient, world: World, files: Sequence[EntityFile]
) -> None:
    created, reader = world.link(*files), world.reader()
    shared, key = reader.open(created.token or "", None, "Front desk", "Firefox")
    for file in files[:2]:
        reader.describe(shared, key, file.id)
    shown = words(here.get(f"/links/{created.link.id}"))
    for said in ("Front desk", "viewed 2 documents", "Letter.pdf, Scan.pdf", "Firefox", "192.0.2.0/24"):
        assert said in shown


def test_cards_tell_the_last_openings(here: FlaskClient, world: World, files: Sequence[EntityFile]) -> None:
    created, reader = world.link(*files), world.reader()
    shared, key = reader.open(created.token or "", None, "Front desk", "Firefox")
    for file in files:
        reader.describe(shared, key, file.id)
    assert "Opened Letter.pdf, Scan.pdf and 1 more · Front desk" in words(here.get("/links"))


def test_documents_no_longer_shown_are_counted(here: FlaskClient, world: World, files: Sequence[EntityFile]) -> None:
    world.link(*files)
    world.documents().trash(files[0].id)
    assert "1 document no longer shown" in words(here.get("/links"))


# --- ways to the form ---------------------------------------------------------------------------------------------


def test_patient_page_leads_to_sharing(here: FlaskClient, files: Sequence[EntityFile]) -> None:
    path = f"/patients/{files[0].patient_id}"
    assert page(here.get(path)).xpath(f"//a[@href='{path}/share']")


def test_preview_leads_to_sharing_for_those_who_can_edit(
    here: FlaskClient, world: World, files: Sequence[EntityFile]
) -> None:
    file = files[0]
    world.share(world.records().patient(file.patient_id).patient, "vera@sample.example")
    path, leads = (
        f"/documents/files/{file.id}/preview",
        f"//a[@href='/patients/{file.patient_id}/share?files={file.id}']",
    )
    assert len(page(here.get(path)).xpath(leads)) == 1
    assert page(world.client("vera@sample.example").get(path)).xpath(leads) == []


@pytest.mark.parametrize("htmx", [True, False])
def test_selected_documents_of_a_record_lead_to_sharing(
    here: FlaskClient, files: Sequence[EntityFile], htmx: bool
) -> None:
    fields = {"csrf_token": token_of(here), "action": "share", "file_ids": [files[1].id, files[0].id]}
    headers = {"HX-Request": "true"} if htmx else {}
    answer = here.post(f"/documents/visit/{files[0].entity_id}/bulk", data=fields, headers=headers)
    led = answer.headers["HX-Redirect"] if htmx else answer.location
    assert chosen(here.get(led)) == [files[1].id, files[0].id]


def test_more_documents_than_a_link_takes_are_refused(here: FlaskClient, files: Sequence[EntityFile]) -> None:
    fields = {"csrf_token": token_of(here), "action": "share", "file_ids": list(range(1, 102))}
    answer = here.post(f"/documents/visit/{files[0].entity_id}/bulk", data=fields)
    assert answer.status_code == 422


def test_wrong_passcodes_are_counted_on_the_card(world: World, here: FlaskClient, files: Sequence[EntityFile]) -> None:
    made = world.link(files[0], passcode=PASSCODE)
    for _ in range(2):
        world.app.test_client().post(f"/s/{made.token}/open", data={"passcode": "000000"})
    assert "Wrong passcode entered 2 times" in words(here.get("/links"))
    assert "2 of 5" in words(here.get(f"/links/{made.link.id}"))
