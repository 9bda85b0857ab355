"""A form of the host for a new record, with the widget inside it: files wait until the host has saved the record."""

import json
from typing import Any

import pytest
from playwright.sync_api import Locator, Page, Route, expect

from tests.browser.host import Host, documented, placeholder
from tests.browser.people import Complaints, Person
from tests.browser.uploads import kept
from tests.browser.widget import pick

FORM = """<form id="theirs" action="/host/saved"><label>Reason <input name="reason"></label>
{part}<button id="save">Save</button></form>"""
SAVE = """window.sent = [];
document.getElementById("theirs").addEventListener("submit", (event) => {
  event.preventDefault();
  window.sent.push([...new FormData(event.target)]);
});"""
CREATED = "(id) => document.dispatchEvent(new CustomEvent('records:created', { detail: { type: 'visit', id } }))"


@pytest.fixture(params=["4.0.1", "2.0.11"])
def host(page: Page, request: pytest.FixtureRequest) -> Host:
    return Host(page, request.param)


def filled(host: Host, person: Person, *names: str) -> Any:
    """The host's form with files chosen in it; the patient whose record it is about."""
    patient = person.patient()
    host.build(FORM.format(part=placeholder(f"/documents/visit/new?patient={patient.id}")), js=SAVE)
    pick(host.page, *names)
    expect(held(host)).to_have_count(len(names))
    return patient


def held(host: Host) -> Locator:
    return host.page.locator(".mf-upload[data-mf-state=held]")


def saved(host: Host, person: Person, patient: Any) -> Any:
    """The host saves the form in its own way and says so."""
    host.page.locator("#save").click()
    visit = person.visit(patient=patient)
    host.page.evaluate(CREATED, visit.id)
    return visit


def stored(person: Person, visit: Any) -> dict[str, tuple[str | None, str | None]]:
    return {file.file_name: (file.category, file.description) for file in kept(person, visit)}


def test_files_are_uploaded_once_the_host_has_created_the_record(host: Host, person: Person) -> None:
    patient = filled(host, person, "Letter.pdf", "Note.txt")
    letter = host.page.locator(".mf-upload").filter(has_text="Letter.pdf")
    letter.get_by_label("Category").select_option("Referral")
    letter.get_by_label("Description").fill("From the front desk")
    visit = saved(host, person, patient)
    expect(host.page.locator(".mf-upload")).to_have_count(0)
    assert stored(person, visit) == {"Letter.pdf": ("referral", "From the front desk"), "Note.txt": (None, None)}


def test_documented_form_saves_a_record_and_its_files(host: Host, person: Person) -> None:
    visit = person.visit()

    def save(route: Route) -> None:
        route.fulfill(status=201, content_type="application/json", body=json.dumps({"id": visit.id}))

    form, script = documented("new-visit").replace("=1", f"={visit.patient_id}"), documented("new-visit", "js")
    host.page.route("**/desk/visits", save)
    host.build(form, js=script)
    pick(host.page, "Letter.pdf")
    expect(held(host)).to_have_count(1)
    host.page.get_by_role("button", name="Save").click()
    expect(host.page.locator(".mf-upload")).to_have_count(0)
    assert list(stored(person, visit)) == ["Letter.pdf"]


def test_form_of_the_host_is_submitted_by_the_host_alone_and_with_its_own_fields(host: Host, person: Person) -> None:
    filled(host, person, "Letter.pdf")
    host.page.locator(".mf-upload").get_by_label("Description").press_sequentially("Knee\n")
    assert host.page.evaluate("sent") == []
    host.page.get_by_label("Reason").fill("Sore knee")
    host.page.get_by_label("Reason").press("Enter")
    assert host.page.evaluate("sent") == [[["reason", "Sore knee"]]]
    assert [request.url for request in host.sent if request.method == "POST"] == []


def test_failed_file_is_tried_again_with_the_created_record(host: Host, person: Person, complaints: Complaints) -> None:
    complaints.expect("422")

    def refuse(route: Route) -> None:
        route.fulfill(status=422, body="")

    patient = filled(host, person, "Letter.pdf")
    host.page.route("**/documents/visit/*/files*", refuse)
    visit = saved(host, person, patient)
    expect(host.page.locator(".mf-upload[data-mf-state=failed]")).to_have_count(1)
    host.page.unroute("**/documents/visit/*/files*")
    host.page.locator(".mf-upload").get_by_role("button", name="Try again").click()
    expect(host.page.locator(".mf-upload")).to_have_count(0)
    assert list(stored(person, visit)) == ["Letter.pdf"]


def test_widget_of_the_created_record_takes_over_pending_uploads(host: Host, person: Person) -> None:
    patient = filled(host, person, "Letter.pdf")
    waiting: list[Route] = []
    host.page.route("**/documents/visit/*/files*", lambda route: waiting.append(route))
    visit = saved(host, person, patient)
    at = f"/documents/visit/{visit.id}"
    host.page.evaluate("(at) => htmx.ajax('GET', at, { target: '#theirs .mf', swap: 'innerHTML' })", at)
    part = host.part(f"manager-visit-{visit.id}")
    expect(part.locator(".mf-upload")).to_have_count(1)
    waiting[0].continue_()
    expect(part.locator(".mf-row .mf-file-name")).to_have_text(["Letter.pdf"])
    expect(part.locator(".mf-upload")).to_have_count(0)
