"""Every page in every state: accessible, as wide as its window, in any colours, and without a word in the console."""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Literal

import pytest
from axe_playwright_python.base import AXE_SCRIPT, AxeResults
from flask import Flask
from playwright.sync_api import Page

from tests.browser.people import Complaints, Person, Shelf, Site, Turn
from tests.browser.states import NOISY, SIGNED_IN, SIGNED_OUT
from tests.support.extent import Extent
from tests.support.factories import at_work

STATES = {**SIGNED_OUT, **SIGNED_IN}
LOOKS: tuple[tuple[Literal["light", "dark"], int], ...] = (
    ("light", 390), ("dark", 1280), ("dark", 390), ("light", 1280),
)  # fmt: skip
NARROWEST, ZOOMED = 320, 640  # the second: a window of 1280 pixels at 200 %
# What stays in place covers what scrolls under it, unless the window is as tall as all it shows.
TALL = "Math.max(900, 200 + Math.max(...[...document.querySelectorAll('*')].map((one) => one.scrollHeight)))"
# axe does not know that a modal dialog lies above all.
ASK_AXE = """async ([context, options]) => {
  const modal = document.querySelector("dialog:modal");
  const fixed = (one) => !modal.contains(one) && getComputedStyle(one).position === "fixed";
  const beneath = modal ? [...document.querySelectorAll("body *")].filter(fixed) : [];
  for (const one of beneath) one.style.visibility = "hidden";
  const { violations } = await axe.run(context, options);
  for (const one of beneath) one.style.visibility = "";
  return { violations };
}"""
ALIKE = [[".mf-api-section > :is(.mf-op, .mf-code):nth-of-type(n + 4)"]]  # dozens are made by one template
RULES = {
    "runOnly": {"type": "tag", "values": ["wcag2a", "wcag2aa", "wcag21a", "wcag21aa", "wcag22aa"]},
    "resultTypes": ["violations"],
}
# What has a border, letters or lines of its own must differ from what lies behind it.
VANISHED = """() => {
  const look = (one) => getComputedStyle(one);
  const clear = (one) => /, 0\\)$|transparent/.test(look(one).backgroundColor);
  const ground = (one) => (one === document.body || !clear(one) ? one : ground(one.parentElement));
  const seen = "a, button, summary, input, label, h1, h2, h3, p, td, th, .mf-icon, .mf-badge, .mf-tile";
  return [...document.querySelectorAll(seen)]
    .filter((one) => one.checkVisibility() && look(one).color === look(ground(one)).backgroundColor)
    .map((one) => one.outerHTML.slice(0, 200));
}"""


WHOLE = {"include": [["html"]]}


@dataclass
class Scene:
    name: str
    page: Page
    complaints: Complaints


@pytest.fixture(scope="session")
def owner(installed: Flask) -> tuple[Person, Shelf]:
    """Somebody with things in every state; what a state changes does not disturb the states after it."""
    with at_work(installed) as world:
        person = Person(world, "owner@sample.example")
        return person, person.shelf()


@pytest.fixture(scope="module", params=STATES)
def scene(
    request: pytest.FixtureRequest, taking_a_turn: Turn, site: Site, owner: tuple[Person, Shelf]
) -> Iterator[Scene]:
    """One state, opened once for all that is asked about it."""
    (person, shelf), name = owner, request.param
    complaints = Complaints(expected=[NOISY[name]] if name in NOISY else [])
    with taking_a_turn(complaints) as context:
        if name in SIGNED_IN:
            with at_work(person.world.app):
                person.sign_in(context, site.address)
        scene = Scene(name, context.new_page(), complaints)
        STATES[name](scene.page, shelf)
        scene.page.evaluate(AXE_SCRIPT)
        yield scene


def test_axe_finds_no_violation(scene: Scene, extent: Extent) -> None:
    """Of those tried, each in one of four looks; with --full all in all, and of the API's page all that is alike."""
    context = {} if extent.full else {"exclude": ALIKE}
    for look, width in LOOKS if extent.full else [LOOKS[[*STATES].index(scene.name) // 4 % len(LOOKS)]]:
        scene.page.set_viewport_size({"width": width, "height": 900})
        scene.page.set_viewport_size({"width": width, "height": scene.page.evaluate(TALL)})
        scene.page.emulate_media(color_scheme=look)
        found = AxeResults(scene.page.evaluate(ASK_AXE, [WHOLE | context, RULES]))
        assert found.violations_count == 0, found.generate_report()


def test_page_fits_the_narrowest_phone_and_a_zoomed_window(scene: Scene) -> None:
    for width in (ZOOMED, NARROWEST):
        scene.page.set_viewport_size({"width": width, "height": 740})
        for wide in ("document.documentElement", "document.querySelector('dialog[open]')"):
            assert scene.page.evaluate(f"({wide})?.scrollWidth ?? 0") <= width


def test_nothing_disappears_in_forced_colors(scene: Scene) -> None:
    scene.page.emulate_media(forced_colors="active")
    assert scene.page.evaluate(VANISHED) == []
    scene.page.emulate_media(forced_colors="none")


def test_nothing_is_animated_with_reduced_motion(scene: Scene) -> None:
    assert (
        scene.page.evaluate("document.getAnimations().map(({ animationName }) => animationName ?? 'transition')") == []
    )


def test_browser_console_is_empty(scene: Scene) -> None:
    assert scene.complaints.unexpected() == []
