"""What the tests do with a record in the sheet and its documents, as a person would."""

import re
from collections.abc import Sequence
from typing import Any

from playwright.sync_api import FilePayload, Locator, Page, expect

from tests.browser.people import real_file

FOCUSED = """() => {
  const one = document.activeElement;
  return one === document.body ? "BODY" : (one.ariaLabel ?? one.innerText ?? "").replace(/\\s+/g, " ").trim();
}"""


def open_visit(page: Page, visit: Any) -> Locator:
    """The visit's sheet, opened from its card in the list."""
    page.goto(f"/patients/{visit.patient_id}/visits")
    card(page, visit).click()
    sheet = page.locator("#mf-sheet[open]")
    expect(sheet.get_by_role("heading", level=1)).to_have_text(visit.reason)
    return sheet


def card(page: Page, visit: Any) -> Locator:
    return page.locator(f"#mf-card-visit-{visit.id}")


def badge(page: Page, visit: Any) -> Locator:
    return page.locator(f"#mf-badge-visit-{visit.id}")


def row(page: Page, name: str) -> Locator:
    return page.locator(".mf-row").filter(has=page.get_by_text(name, exact=True))


def dots(row: Locator) -> Locator:
    """The button that opens the menu of a document's row."""
    return row.get_by_role("button", name=re.compile("^Actions for "))


def menu(row: Locator) -> Locator:
    """The menu of a document's row, opened."""
    dots(row).click()
    return row.locator(".mf-row-menu")


def order(page: Page, name: str) -> Locator:
    """The link that sorts by this, in the opened menu."""
    menu = page.locator(".mf-sort-menu")
    if menu.get_attribute("open") is None:
        menu.locator("summary").click()
    return menu.get_by_role("link", name=name, exact=True)


def names(page: Page) -> list[str]:
    return page.locator(".mf-row .mf-file-name").all_inner_texts()


def expect_names(page: Page, wanted: Sequence[str]) -> None:
    """The documents listed, in this order, as soon as they are."""
    expect(page.locator(".mf-row .mf-file-name")).to_have_text(list(wanted))


def expect_said(page: Page, words: str) -> None:
    """What the widget tells people who listen."""
    expect(page.locator(".mf-manager [data-mf-live]")).to_contain_text(words)


def search(page: Page) -> Locator:
    return page.get_by_label("Search names and descriptions")


def tick(page: Page, *names: str) -> None:
    """Choose these documents."""
    for name in names:
        page.get_by_role("checkbox", name=f"Select {name}", exact=True).check()


def pick(page: Page, *files: str | FilePayload) -> None:
    """Choose files in the picker that the button opens."""
    with page.expect_file_chooser() as chooser:
        page.get_by_role("button", name="Choose files").click()
    chooser.value.set_files([real_file(file) if isinstance(file, str) else file for file in files])


def press(page: Page, words: str, name: str) -> None:
    """The button of one document: "Move to trash" in its menu, "Restore" …"""
    found = row(page, name)
    place = menu(found) if words == "Move to trash" else found
    place.get_by_role("button", name=words).click()


def focused(page: Page) -> str:
    """The accessible words of what has the focus, "BODY" when nothing has."""
    return str(page.evaluate(FOCUSED))
