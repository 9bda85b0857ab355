"""Pictures of every page and state, on a laptop and a phone, in light and dark: `make shots`."""

import re
import sys
import tempfile
from collections.abc import Iterator, Mapping
from contextlib import closing, contextmanager
from pathlib import Path
from types import SimpleNamespace
from typing import Any

from playwright.sync_api import Browser, Page, sync_playwright

from medfiles.accounts import service as accounts
from medfiles.http.current import services
from medfiles.sandbox.pool import Sandbox
from tests.browser.chromium import launch
from tests.browser.people import A_SECOND_LATER, Person, Shelf
from tests.browser.states import LETTER, SIGNED_IN, SIGNED_OUT, State, at, opened, photo, renamed
from tests.browser.uploads import slow
from tests.support.factories import World, install
from tests.support.server import ROOT, flask, serve
from tests.support.sprite import symbols

DEMO, NEWCOMER = "anna@sample.example", "newcomer@sample.example"
WIDE, NARROW, TALLEST = (1440, 900), (390, 844), 2000
PHONE: Any = {"width": NARROW[0], "height": NARROW[1]}
HALFWAY = re.compile("[4-7][0-9]%")
SHOTS, README = ROOT / "build" / "shots", ROOT / "docs" / "screenshots"
COMPONENTS, COMPONENTS_TEMPLATE = ROOT / "docs" / "components", ROOT / "tests" / "browser" / "components.html"
HUES = ("Terracotta", "Ochre", "Olive", "Green", "Blue", "Indigo", "Plum", "Rose")
PICTURES_LOADED = """Promise.all([...document.images].map((one) => {
  one.loading = "eager";
  return one.complete || new Promise((done) => (one.onload = one.onerror = done));
}))"""
LOOKS: Mapping[str, dict[str, Any]] = {"light": {"color_scheme": "light"}, "dark": {"color_scheme": "dark"}}
FORCED: Mapping[str, Any] = {"color_scheme": "dark", "forced_colors": "active"}


def main() -> None:
    readme = "--readme" in sys.argv[1:]
    folder = README if readme else SHOTS
    folder.mkdir(parents=True, exist_ok=True)
    with demo() as (address, world), sync_playwright() as playwright:
        write_components(world)
        browser = launch(playwright)
        (picture_readme if readme else picture_all)(Studio(browser, address, world, folder))
        browser.close()
    print(folder)


@contextmanager
def demo() -> Iterator[tuple[str, World]]:
    """A throw-away installation with the demo family, served."""
    with tempfile.TemporaryDirectory(prefix="medfiles-shots-") as place, closing(Sandbox(2)) as sandbox:
        settings = {"MEDFILES_INSTANCE": place, "MEDFILES_WORKERS": "1"}
        flask(settings, "db", "upgrade")
        flask(settings, "medfiles", "demo")
        flask(settings, "medfiles", "previews", "warm")
        with install(settings, sandbox) as world, serve(settings) as address:
            yield address, world


class Studio:
    """Opens states as one of two accounts and takes their pictures."""

    def __init__(self, browser: Browser, address: str, world: World, folder: Path) -> None:
        self.browser = browser
        self.address = address
        self.folder = folder
        self.world = World(world.app, {DEMO: accounts.find(DEMO).id})
        self.family = Person(self.world, DEMO)
        accounts.set_admin(DEMO, True)  # who may see the status page
        self.shelf = shelf_of(self.family)

    @contextmanager
    def scene(
        self, state: State, person: Person | None, shelf: Shelf | None = None, **context_options: Any
    ) -> Iterator[Page]:
        options = {"locale": "en-GB", "reduced_motion": "reduce"} | context_options
        context = self.browser.new_context(base_url=self.address, **options)
        context.add_init_script(A_SECOND_LATER)
        if person is not None:
            person.sign_in(context, self.address)
        page = context.new_page()
        state(page, shelf or self.shelf)
        yield page
        context.close()

    def picture(
        self, page: Page, name: str, size: tuple[int, int], look: Mapping[str, Any], *, full_page: bool = True
    ) -> None:
        page.set_viewport_size({"width": size[0], "height": size[1]})
        page.emulate_media(**look)
        page.evaluate(PICTURES_LOADED)
        full_page = full_page and not page.locator("dialog[open]").count()
        page.screenshot(path=self.folder / f"{name}.png", full_page=full_page)


def write_components(world: World) -> None:
    """Write the page of all components, which a browser opens from the file."""
    people = [
        SimpleNamespace(name=f"{name} Sample", first_name=name, initials=f"{name[0]}S", hue=number)
        for number, name in enumerate(HUES, 1)
    ]
    files = [
        (SimpleNamespace(stem=name, label=label, kind=kind, pages=pages, thumbnail=None), people[number])
        for number, (name, label, kind, pages) in enumerate(
            (("Letter", "PDF", "pdf", 2), ("Photo", "JPG", "image", 1), ("Diary", "CSV", "sheet", None),
             ("Questions", "DOCX", "word", None), ("X-ray", "DCM", "dicom", 3), ("Note", "TXT", "text", None))
        )
    ]  # fmt: skip
    with world.app.test_request_context():
        template = world.app.jinja_env.from_string(COMPONENTS_TEMPLATE.read_text())
        page = template.render(people=people, files=files, types=list(services().registry))
    page = re.sub('<use href="[^#"]*#', '<use href="#', page)  # browsers load no icons from another local file
    used = symbols(re.findall('<use href="#([^"]+)"', page))
    page = page.replace("<main ", f'<svg class="mf-hidden">\n{used}</svg>\n<main ', 1)
    COMPONENTS.mkdir(exist_ok=True)
    (COMPONENTS / "index.html").write_text(page.strip() + "\n")


def picture_all(studio: Studio) -> None:
    newcomer = Person(studio.world, NEWCOMER)
    empty = Shelf(newcomer.patient().id)
    for name, state in SIGNED_OUT.items():
        picture_state(studio, name, state, None)
    picture_state(studio, "home-welcome", at("/"), Person(studio.world, "nobody@sample.example"))
    picture_state(studio, "patient-new", at("/patients/{patient}"), newcomer, empty)
    picture_state(studio, "trash-empty", at("/patients/{patient}/trash"), newcomer, empty)
    for name, state in SIGNED_IN.items():
        picture_state(studio, name, state, studio.family)


def picture_state(studio: Studio, name: str, state: State, person: Person | None, shelf: Shelf | None = None) -> None:
    with studio.scene(state, person, shelf) as page:
        for look, media in LOOKS.items():
            studio.picture(page, f"{name}-wide-{look}", whole(page, WIDE), media)
            studio.picture(page, f"{name}-phone-{look}", whole(page, NARROW), media)
        studio.picture(page, f"{name}-wide-forced", whole(page, WIDE), FORCED)


def whole(page: Page, size: tuple[int, int]) -> tuple[int, int]:
    """A window of this width that shows all of an open sheet, within reason."""
    page.set_viewport_size({"width": size[0], "height": size[1]})
    tall = page.evaluate("document.querySelector('.mf-sheet[open]')?.scrollHeight ?? 0")
    return size[0], min(max(size[1], int(tall)), TALLEST)


def picture_readme(studio: Studio) -> None:
    """Small ones: the page of a README is no wider."""
    light, dark = LOOKS["light"], LOOKS["dark"]
    with studio.scene(at("/patients/{patient}"), studio.family) as page:
        studio.picture(page, "timeline-light", (1120, 700), light, full_page=False)
    with studio.scene(opened("visit"), studio.family) as page:
        studio.picture(page, "record-dark", (1120, 800), dark)
    with studio.scene(opened("bare"), studio.family, has_touch=True, is_mobile=True, viewport=PHONE) as page:
        slow(page, 250_000)
        page.locator("[data-mf-input]").set_input_files([photo(), renamed(photo(), "Second page.jpg"), LETTER])
        page.locator("[data-mf-status]").filter(has_text=HALFWAY).nth(1).wait_for()
        page.locator(".mf-manager-head").evaluate("(head) => head.scrollIntoView()")
        studio.picture(page, "uploading-phone", NARROW, light)


def shelf_of(person: Person) -> Shelf:
    """The demo family's own records in the parts the states ask for, two of them moved to the trash."""
    world, kind = person.world, person.world.kind("visit")
    family = [summary.patient for summary in world.records(person.email).patients()]
    patient = max(family, key=lambda one: sum(world.documents(person.email).totals(one.id).values()))
    [insurance, *_] = world.records(person.email).list(patient.id, world.kind("insurance"))
    bare, gone, *_, visit = sorted(
        world.records(person.email).list(patient.id, kind), key=lambda one: documents_of(person, one)
    )
    world.documents(person.email).trash(person.attach(visit, "Draft.pdf").id)
    world.records(person.email).delete(kind, gone.id)
    doomed = person.visit("Letter.pdf", patient=patient, reason="Second opinion")
    others = person.long(patient), *person.shared(), *person.sights(patient), doomed.id, *person.held()
    return Shelf(patient.id, visit.id, bare.id, gone.id, insurance.id, *others)


def documents_of(person: Person, visit: Any) -> int:
    return len(person.world.documents(person.email).list(person.world.kind("visit"), visit.id).files)


if __name__ == "__main__":
    main()
