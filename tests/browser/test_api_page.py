"""The page about the API, for people who use a keyboard, a phone or paper, or come from an error."""

import pytest
from playwright.sync_api import Page, expect


@pytest.fixture
def page(plain_page: Page) -> Page:
    plain_page.goto("/api/v1/docs")
    return plain_page


def test_first_tab_skips_to_the_content(page: Page) -> None:
    page.keyboard.press("Tab")
    expect(page.get_by_role("link", name="Skip to content")).to_be_focused()
    page.keyboard.press("Enter")
    expect(page.locator("#main")).to_be_focused()


def test_contents_lead_to_an_operation_on_a_laptop_and_on_a_phone(page: Page) -> None:
    contents = page.get_by_role("navigation", name="On this page")
    contents.get_by_role("link", name="Add a document").click()
    expect(page.get_by_role("heading", name="Add a document")).to_be_in_viewport()
    page.set_viewport_size({"width": 390, "height": 844})
    contents.get_by_role("link", name="Documents", exact=True).click()
    page.locator("#tag-files .mf-endpoints").get_by_role("link", name="Add a document").click()
    expect(page.get_by_role("heading", name="Add a document")).to_be_in_viewport()


def test_errors_of_an_operation_unfold_by_keyboard_and_lead_to_their_sections(page: Page) -> None:
    upload = page.locator("#op-upload")
    upload.get_by_text("Errors", exact=True).focus()
    page.keyboard.press("Enter")
    upload.get_by_role("link", name="content-mismatch").focus()
    page.keyboard.press("Enter")
    expect(page.locator("#content-mismatch")).to_be_in_viewport()


def test_print_unfolds_everything_and_cuts_nothing_off(page: Page) -> None:
    page.set_viewport_size({"width": 794, "height": 1123})
    page.emulate_media(media="print")
    expect(page.locator("#op-upload").get_by_role("link", name="content-mismatch")).to_be_visible()
    expect(page.locator(".mf-toc")).to_be_hidden()
    samples = page.locator(".mf-sample pre")
    assert samples.count() > 40
    assert samples.evaluate_all("(all) => all.filter((one) => one.scrollWidth > one.clientWidth + 1).length") == 0
