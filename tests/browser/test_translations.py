"""Every page in a language with longer messages: nothing is cut on a phone, and nothing is left in English."""

import re
from collections.abc import Iterator
from typing import Any

import pytest
from flask import Flask
from playwright.sync_api import Browser, Page
from sqlalchemy import String, select

from medfiles.database.session import db
from medfiles.sandbox.pool import Sandbox
from tests.browser.conftest import SECONDS, USUAL
from tests.browser.people import A_SECOND_LATER, Person, Shelf
from tests.browser.states import SIGNED_IN, SIGNED_OUT
from tests.support import pseudo_language
from tests.support.factories import at_work, make_app
from tests.support.server import serve
from tests.support.shared_installation import LIMITS

STATES = {name: state for name, state in {**SIGNED_OUT, **SIGNED_IN}.items() if not name.startswith("api")}
# Text that people read, of which no part is left out on purpose, and which is wider or higher than its box.
CUT = """() => {
  const own = (one) => [...one.childNodes].some((node) => node.nodeType === Node.TEXT_NODE && node.data.trim());
  const unseen = ".mf-hidden, .mf-skip, [hidden]";
  const hidden = (one) => one.closest(unseen) || !one.checkVisibility({ visibilityProperty: true });
  const clamped = (look) => look.textOverflow === "ellipsis" || look.webkitLineClamp !== "none";
  const meant = (look) => look.clipPath !== "none" || clamped(look);
  const moves = (one) => /auto|scroll/.test(getComputedStyle(one).overflowX) && one.scrollWidth > one.clientWidth;
  const scrolls = (one) => one && ((moves(one) && !one.matches("dialog, body, html")) || scrolls(one.parentElement));
  const wide = (one) => one.clientWidth > 1 && one.scrollWidth > one.clientWidth + 1;
  const high = (one) => one.scrollHeight > one.clientHeight + 2 && /hidden|clip/.test(getComputedStyle(one).overflowY);
  return [...document.querySelectorAll("body *")]
    .filter((one) => own(one) && !hidden(one) && !scrolls(one) && !meant(getComputedStyle(one)))
    .filter((one) => wide(one) || high(one))
    .map((one) => `${one.className} ${one.innerText.slice(0, 60)}`);
}"""
# What makes the page wider than its window.
TOO_WIDE = """() => {
  const cuts = (one) => /auto|scroll|hidden|clip/.test(getComputedStyle(one).overflowX);
  const scrolls = (one) => one && (cuts(one) || scrolls(one.parentElement));
  return [...document.querySelectorAll("body *")]
    .filter((one) => one.checkVisibility() && one.getBoundingClientRect().right > 361 && !scrolls(one.parentElement))
    .map((one) => `${one.className} ${(one.innerText ?? "").slice(0, 60)}`);
}"""
# Every text and label, but no dates, codes, file names' endings or contents of documents.
READ = """() => {
  const files = "time, code, kbd, .mf-tile, .mf-paper-label, .mf-prose, .mf-look-text, .mf-look-table, .mf-look-tags";
  const names = ".mf-look-sheets .mf-look-tabs > *"; // of a workbook's sheets
  // What sandbox workers say, in English.
  const workers = ".mf-look-none, .mf-look-notes, .mf-look-presets, [data-mf-look-live]";
  const data = `${files}, ${names}, ${workers}, textarea, .mf-face, .mf-change dd, .mf-clash-value`;
  const others = `${data}, script, style, template, .mf-brand`;
  const shown = (one) => !one.closest(others) && (one.checkVisibility() || one.closest(".mf-hidden"));
  const walker = document.createTreeWalker(document.body, NodeFilter.SHOW_TEXT);
  const texts = [document.title];
  while (walker.nextNode()) if (shown(walker.currentNode.parentElement)) texts.push(walker.currentNode.data);
  for (const name of ["title", "aria-label", "placeholder", "alt"]) {
    for (const one of document.querySelectorAll(`[${name}]`)) if (shown(one)) texts.push(one.getAttribute(name));
  }
  return texts.filter((text) => text.trim());
}"""
WORD = re.compile(r"[^\W\d_]{2,}")
# Names of programs, formats and units, months, and words in names of the files that states add.
NAMES = {
    *WORD.findall("medfiles chrome chromium headless linux clamav flask backup audit verify worker api"),
    *WORD.findall("pdf docx xlsx jpg png txt csv dcm doc zip kb mb gb utc tiff bmp gif xml json heic dicom word excel"),
    *WORD.findall("jan feb mar apr may jun jul aug sep sept oct nov dec"),
    *WORD.findall("photo letter holiday growth chart scan discharge summary"),
}


@pytest.fixture(scope="module")
def spoken(
    new_database: Any, tmp_path_factory: pytest.TempPathFactory, sandbox: Sandbox
) -> Iterator[tuple[str, Flask]]:
    """A server that speaks the language, and an app of the same installation."""
    place = tmp_path_factory.mktemp("spoken")
    settings = {"MEDFILES_INSTANCE": str(place), "MEDFILES_DATABASE_URL": new_database(place), "MEDFILES_WORKERS": "1"}
    settings |= {"MEDFILES_JOBS": "worker", "MEDFILES_ENTITIES": str(LIMITS)}
    with serve(settings, app="tests.support.pseudo_language:app") as address:
        app = make_app(settings, sandbox)
        yield address, app
        app.extensions["medfiles"].renderers.close()


@pytest.fixture(scope="module")
def owner(spoken: tuple[str, Flask]) -> tuple[Person, Shelf]:
    with at_work(spoken[1]) as world:
        person = Person(world, "owner@sample.example")
        shelf = person.shelf()
        warmed = world.app.test_cli_runner().invoke(args=["medfiles", "previews", "warm"])  # so that pages load quickly
        assert warmed.exit_code == 0, warmed.output
        return person, shelf


@pytest.fixture(scope="module", params=STATES)
def shown(
    request: pytest.FixtureRequest, browser: Browser, spoken: tuple[str, Flask], owner: tuple[Person, Shelf]
) -> Iterator[Page]:
    (address, app), (person, shelf), name = spoken, owner, request.param
    with browser.new_context(base_url=address, viewport={"width": 1440, "height": 900}, **USUAL) as context:
        context.set_default_timeout(SECONDS * 1000)
        context.add_init_script(A_SECOND_LATER)
        if name in SIGNED_IN:
            with at_work(app):
                person.sign_in(context, address)
        page = context.new_page()
        STATES[name](page, shelf)
        page.set_viewport_size({"width": 360, "height": 740})
        page.evaluate("new Promise((drawn) => requestAnimationFrame(() => requestAnimationFrame(drawn)))")
        yield page


def test_long_messages_are_not_cut_on_a_phone(shown: Page) -> None:
    wide = shown.evaluate("document.documentElement.scrollWidth") > 360
    assert (shown.evaluate(TOO_WIDE) or ["something"]) * wide == []
    assert shown.evaluate("document.querySelector('dialog[open]')?.scrollWidth ?? 0") <= 360
    assert shown.evaluate(CUT) == []


def test_no_message_is_left_in_english(shown: Page, owner: tuple[Person, Shelf]) -> None:
    known = NAMES | words_of(owner[0])
    texts = [re.sub(r"\S+@\S+|\S*\.\w{2,4}\b", "", text) for text in shown.evaluate(READ)]
    english = {text.strip(): left for text in texts if (left := unspoken(text) - known)}
    assert english == {}


def unspoken(text: str) -> set[str]:
    """The words in the text that are not of the language."""
    words = {word for word in WORD.findall(text) if not set(word) & set(pseudo_language.ACCENTS)}
    return {word.casefold() for word in words if re.search("[aeiouy]", word, re.IGNORECASE)}


def words_of(person: Person) -> set[str]:
    """The words that users have written: in names, titles, notes and other fields."""
    with at_work(person.world.app):
        texts = []
        for table in db.metadata.sorted_tables:
            if "audit" in table.name or "job" in table.name:
                continue
            columns = [column for column in table.columns if isinstance(column.type, String)]
            if columns:
                texts += [str(value) for row in db.session.execute(select(*columns)) for value in row if value]
    return {word.casefold() for word in WORD.findall(" ".join(texts))}
