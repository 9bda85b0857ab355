"""Papers put in as a heap and filed: 25 in a few presses, on a laptop and a phone, by mouse, drop and keyboard."""

import time
from collections.abc import Callable, Iterator
from datetime import date, timedelta

import pytest
from playwright.sync_api import BrowserContext, FilePayload, Page, expect

from medfiles.models import EntityFile, Patient
from tests.browser.people import Person
from tests.support import samples

pytestmark = pytest.mark.filterwarnings("ignore::DeprecationWarning")
PAPERS, SECONDS, PRESSES = 25, 60, 12
TOPICS = ("Knee pain", "Ear infection", "Asthma", "Migraine", "Skin rash")
HEADINGS = ("Clinic letter", "Prescription", "Referral", "Visit summary", "Laboratory request")
PHONE = {"width": 390, "height": 844}


def visits(person: Person) -> tuple[Patient, list[int]]:
    patient = person.patient()
    days = [date(2026, 1, 12) + timedelta(days=30 * number) for number in range(len(TOPICS))]
    made = [person.visit(patient=patient, reason=topic, date=day) for topic, day in zip(TOPICS, days, strict=True)]
    return patient, [visit.id for visit in made]


def papers() -> Iterator[FilePayload]:
    """Scans named by a number; what they are is on them."""
    for number in range(PAPERS):
        topic, heading = TOPICS[number % 5], HEADINGS[number // 5]
        day = date(2026, 1, 12) + timedelta(days=30 * (number % 5))
        text = f"{heading} for Ella Sample, born 2018-03-02, dated {day.isoformat()}: {topic}"
        yield {"name": f"Scan_{number:04}.pdf", "mimeType": "application/pdf", "buffer": samples.pdf(text=text)}


def documents(person: Person, patient: Patient) -> list[EntityFile]:
    return [file for file in person.world.files() if file.patient_id == patient.id]


def read_all(person: Person, patient: Patient) -> None:
    """As the worker does within seconds."""
    for file in documents(person, patient):
        person.world.parts.reader.read(file.id)


@pytest.mark.parametrize("size", [None, PHONE], ids=["laptop", "phone"])
def test_a_heap_of_papers_is_filed_in_a_few_presses(page: Page, person: Person, size: dict[str, int] | None) -> None:
    patient, ids = visits(person)
    if size:
        page.set_viewport_size(size)  # type: ignore[arg-type]
    page.goto(f"/patients/{patient.id}/inbox", wait_until="commit")
    presses = 0
    page.locator(".mf-inbox-add [data-mf-input]").set_input_files(list(papers()))
    presses += 1
    expect(page.locator(".mf-inbox-item")).to_have_count(PAPERS, timeout=120_000)
    waited = time.monotonic()
    read_all(person, patient)
    page.reload()
    file = page.get_by_role("button", name=f"File {PAPERS} as suggested")
    expect(file).to_be_visible()
    file.click()
    presses += 1
    expect(page.locator("#mf-notices")).to_contain_text(f"{PAPERS} documents filed.")
    expect(page.locator(".mf-inbox-item")).to_have_count(0)
    taken = time.monotonic() - waited
    assert presses <= PRESSES
    assert taken <= SECONDS
    filed = documents(person, patient)
    assert [file.entity_type for file in filed] == ["visit"] * PAPERS
    assert {file.entity_id for file in filed} == set(ids)
    assert {file.category for file in filed} == {"summary", "prescription", "referral", "test_order"}


def test_undo_puts_them_back(page: Page, person: Person) -> None:
    patient, _ = visits(person)
    page.goto(f"/patients/{patient.id}/inbox", wait_until="commit")
    page.locator(".mf-inbox-add [data-mf-input]").set_input_files(list(papers())[:2])
    expect(page.locator(".mf-inbox-item")).to_have_count(2)
    read_all(person, patient)
    page.reload()
    page.get_by_role("button", name="File 2 as suggested").click()
    page.locator("#mf-notices").get_by_role("button", name="Undo").click()
    expect(page.locator(".mf-inbox-item")).to_have_count(2)


def test_arrow_keys_move_between_documents_and_space_selects(page: Page, person: Person) -> None:
    patient, _ = visits(person)
    page.goto(f"/patients/{patient.id}/inbox", wait_until="commit")
    page.locator(".mf-inbox-add [data-mf-input]").set_input_files(list(papers())[:3])
    boxes = page.locator("[data-mf-pick-file]")
    expect(boxes).to_have_count(3)
    names = [box.get_attribute("aria-label") or "" for box in boxes.all()]
    boxes.first.focus()
    page.keyboard.press("ArrowDown")
    expect(boxes.nth(1)).to_be_focused()
    expect(page.locator("#mf-why h2")).to_have_text(names[1].removeprefix("Select "))
    before = boxes.nth(1).is_checked()
    page.keyboard.press("Space")
    expect(boxes.nth(1)).to_be_checked(checked=not before)
    count = sum(box.is_checked() for box in boxes.all())
    expect(page.get_by_role("button", name=f"File {count} as suggested")).to_be_visible()


def drag_over_home(page: Page) -> None:
    page.evaluate(
        """() => {
          const files = new DataTransfer();
          files.items.add(new File(["Letter"], "Letter.txt", { type: "text/plain" }));
          window.dragged = (type, place) => document.querySelector(place).dispatchEvent(
            new DragEvent(type, { bubbles: true, cancelable: true, dataTransfer: files }));
          dragged("dragenter", "#people");
        }"""
    )


def drop_on_home(page: Page) -> None:
    drag_over_home(page)
    page.evaluate("dragged('drop', '#people')")


def test_a_file_dropped_on_home_lands_in_the_inbox_of_the_only_person(page: Page, person: Person) -> None:
    patient = person.patient()
    page.goto("/")
    zone = page.locator("[data-mf-home-add] [data-mf-zone]")
    expect(zone).to_be_hidden()
    drag_over_home(page)
    expect(zone).to_be_visible()
    page.evaluate("dragged('drop', '#people')")
    page.wait_for_url("**/inbox", wait_until="commit")
    expect(page.locator(".mf-inbox-item")).to_have_count(1)
    assert [file.to_file for file in documents(person, patient)] == [True]


def test_home_asks_whose_a_dropped_file_is_with_the_last_person_preselected(page: Page, person: Person) -> None:
    ben, ella = person.world.patient(person.email, first_name="Ben"), person.patient()
    page.goto(f"/patients/{ella.id}")
    page.goto("/")
    drop_on_home(page)
    dialog = page.get_by_role("dialog", name="Whose is this file?")
    last = dialog.get_by_role("radio", name="Ella")
    expect(last).to_be_checked()
    expect(last).to_be_focused()
    page.keyboard.press("Escape")
    expect(dialog).to_be_hidden()
    expect(page.locator(".mf-upload")).to_have_count(0)
    drop_on_home(page)
    expect(last).to_be_focused()
    page.keyboard.press("ArrowUp")
    expect(dialog.get_by_role("radio", name="Ben")).to_be_checked()
    page.keyboard.press("Enter")
    page.wait_for_url(f"**/patients/{ben.id}/inbox", wait_until="commit")
    expect(page.locator(".mf-inbox-item")).to_have_count(1)
    assert [file.to_file for file in documents(person, ben)] == [True]
    assert documents(person, ella) == []


def test_home_asks_after_files_were_picked_on_a_phone(
    open_context: Callable[..., BrowserContext], person: Person
) -> None:
    person.world.patient(person.email, first_name="Ben")
    ella = person.patient()
    page = open_context(person, width=390, height=844, touch=True).new_page()
    page.goto(f"/patients/{ella.id}")
    page.goto("/")
    expect(page.locator("[data-mf-home-add] .mf-zone-main")).to_be_hidden()
    page.get_by_role("button", name="Add documents").tap()
    with page.expect_file_chooser() as chooser:
        page.get_by_role("button", name="File", exact=True).tap()
    chooser.value.set_files(list(papers())[:2])
    page.get_by_role("dialog", name="Whose are these 2 files?").get_by_role("button", name="Add to inbox").tap()
    page.wait_for_url(f"**/patients/{ella.id}/inbox", wait_until="commit")
    expect(page.locator(".mf-inbox-item")).to_have_count(2)


def test_add_files_on_home_shows_where_to_choose_them(page: Page, person: Person) -> None:
    person.patient()
    page.goto("/")
    page.get_by_role("link", name="Add files").click()
    expect(page.locator("[data-mf-home-add]").get_by_role("button", name="Choose files")).to_be_visible()
