"""The text of a document in the preview: selected over the picture, read, searched, copied; dates confirmed."""

import re

import pytest
from playwright.sync_api import Page, expect

from medfiles.database.session import db
from medfiles.models import EntityFile
from tests.browser.people import Person
from tests.browser.widget import open_visit
from tests.support import samples

pytestmark = pytest.mark.filterwarnings("ignore::DeprecationWarning")
LETTER = "Letter.pdf"
TEXT = "Berlin, den 12.03.2019: Blutbild"


def letter(page: Page, person: Person) -> int:
    """A visit with a letter that has been read, open in the preview."""
    visit = person.visit()
    file = person.attach(visit, LETTER, content=samples.pdf(2, TEXT))
    person.world.parts.reader.read(file.id)
    open_visit(page, visit)
    page.get_by_role("link", name=LETTER).click()
    return int(file.id)


def test_text_is_selected_over_the_picture_of_the_page(page: Page, person: Person) -> None:
    letter(page, person)
    words = page.locator(".mf-look-layer").first.locator("span")
    expect(words).to_have_count(len(TEXT.split()))
    word, picture = words.first.bounding_box(), page.locator(".mf-look-page > img").first.bounding_box()
    assert word
    assert picture
    assert picture["x"] < word["x"] < picture["x"] + picture["width"] / 2
    assert 0 < word["width"] < picture["width"] / 2
    selected = page.evaluate(
        """() => {
          getSelection().selectAllChildren(document.querySelector(".mf-look-layer"));
          return getSelection().toString();
        }"""
    )
    assert selected.strip() == TEXT


def test_text_tab_finds_words_and_copies_them(page: Page, person: Person) -> None:
    page.context.grant_permissions(["clipboard-read", "clipboard-write"])
    letter(page, person)
    page.get_by_role("tab", name="Text").click()
    found = page.locator(".mf-text-page")
    expect(found).to_have_count(2)
    page.get_by_label("Find in this document").fill("blut")
    expect(page.locator(".mf-text mark")).to_have_text(["Blut", "Blut"])
    expect(page.get_by_role("status").filter(has_text="2 hits")).to_be_visible()
    page.get_by_role("button", name="Copy text").click()
    expect(page.locator("[data-mf-look-live]")).to_have_text("Text copied")
    assert re.split(r"\n+", page.evaluate("navigator.clipboard.readText()")) == [TEXT, TEXT]
    page.get_by_role("tab", name="Details").click()
    expect(found.first).to_be_hidden()


def test_suggested_date_is_confirmed_with_one_press(page: Page, person: Person) -> None:
    file_id = letter(page, person)
    panel = page.locator(".mf-look-details")
    panel.get_by_role("button", name="Confirm the date").click()
    expect(panel.locator("[data-mf-edit=document_date]")).to_contain_text("12 Mar 2019")
    expect(panel.get_by_role("button", name="Confirm the date")).to_have_count(0)
    db.session.rollback()
    file = db.session.get_one(EntityFile, file_id, populate_existing=True)
    assert str(file.document_date) == str(file.dated_on) == "2019-03-12"
