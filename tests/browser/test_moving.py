"""Moving documents where there are many people: the person is found while a name is typed."""

from playwright.sync_api import Page, expect

from medfiles.database.session import db
from medfiles.models import EntityFile
from tests.browser.people import Person


def test_list_of_people_follows_what_is_typed(page: Page, person: Person) -> None:
    visit = person.visit("Growth.png")
    patient_id, growth = visit.patient_id, person.file_named(visit, "Growth.png").id
    for number in range(14):
        person.world.patient(person.email, f"Person {number:02}")
    page.goto(f"/documents/files/{growth}/move")
    field = page.get_by_role("searchbox", name="Search by name or birth date")
    field.press_sequentially("person 13")
    people = page.locator("#mf-moving-found button")
    expect(people).to_have_count(1)
    expect(people).to_contain_text("Person 13 Sample")
    expect(field).to_be_focused()
    people.click()
    page.locator(".mf-moving-place", has_text="General documents").click()
    expect(page.locator("#mf-notices")).to_contain_text(
        "“Growth.png” moved to the general documents of Person 13 Sample."
    )
    db.session.rollback()
    assert db.session.get_one(EntityFile, growth).patient_id != patient_id
