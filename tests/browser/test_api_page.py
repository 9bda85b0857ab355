"""The page about the API, for people who use a keyboard, a phone or paper, or come from an error."""

from collections.abc import Callable
from typing import Any

import pytest
from playwright.sync_api import BrowserContext, Page, expect

OpenContext = Callable[..., BrowserContext]


@pytest.fixture
def open_page(open_context: OpenContext) -> Callable[..., Page]:
    """The page as somebody sees it who is not signed in, without script."""

    def open_page(anchor: str = "", **options: Any) -> Page:
        page = open_context(script=False, **options).new_page()
        page.goto(f"/api/v1/docs{anchor}")
        return page

    return open_page


def test_the_first_tab_skips_to_the_content(open_page: Callable[..., Page]) -> None:
    page = open_page()
    page.keyboard.press("Tab")
    expect(page.get_by_role("link", name="Skip to content")).to_be_focused()
    page.keyboard.press("Enter")
    expect(page.locator("#main")).to_be_focused()


def test_an_errors_type_leads_to_what_is_said_about_it(open_page: Callable[..., Page]) -> None:
    page = open_page("#too-many")
    place = page.locator("#too-many")
    expect(place).to_contain_text("is full (8 of 8)")
    expect(place).to_be_in_viewport()


def test_the_contents_lead_to_an_operation(open_page: Callable[..., Page]) -> None:
    page = open_page()
    page.get_by_role("navigation", name="On this page").get_by_role("link", name="Add a document").click()
    expect(page.get_by_role("heading", name="Add a document")).to_be_in_viewport()


def test_on_a_phone_each_section_begins_with_its_own_contents(open_page: Callable[..., Page]) -> None:
    page = open_page(width=390, height=844)
    page.get_by_role("navigation", name="On this page").get_by_role("link", name="Documents", exact=True).click()
    page.locator("#tag-files .mf-endpoints").get_by_role("link", name="Add a document").click()
    expect(page.get_by_role("heading", name="Add a document")).to_be_in_viewport()


def test_errors_of_an_operation_unfold_by_keyboard(open_page: Callable[..., Page]) -> None:
    page = open_page()
    upload = page.locator("#op-upload")
    upload.get_by_text("Errors", exact=True).focus()
    page.keyboard.press("Enter")
    upload.get_by_role("link", name="content-mismatch").focus()
    page.keyboard.press("Enter")
    expect(page.locator("#content-mismatch")).to_be_in_viewport()


def test_on_paper_everything_is_unfolded_and_nothing_is_cut_off(open_page: Callable[..., Page]) -> None:
    page = open_page(width=794, height=1123)
    page.emulate_media(media="print")
    expect(page.locator("#op-upload").get_by_role("link", name="content-mismatch")).to_be_visible()
    expect(page.locator(".mf-toc")).to_be_hidden()
    samples = page.locator(".mf-sample pre")
    assert samples.count() > 40
    assert samples.evaluate_all("(all) => all.filter((one) => one.scrollWidth > one.clientWidth + 1).length") == 0
