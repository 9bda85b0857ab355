"""Every page of medfiles and every state it can be in, by name: what is tested for access and what is pictured."""

from collections.abc import Callable, Mapping

from playwright.sync_api import FilePayload, Page, Route

from tests import samples
from tests.browser.people import Shelf, real_file

State = Callable[[Page, Shelf], None]
WRONG: FilePayload = {"name": "Holiday.mp3", "mimeType": "audio/mpeg", "buffer": samples.txt()}


def at(path: str) -> State:
    def state(page: Page, shelf: Shelf) -> None:
        page.goto(path.format(**vars(shelf)), wait_until="load")

    return state


def then(state: State, *steps: Callable[[Page], object]) -> State:
    """A state, and what is done from there."""

    def further(page: Page, shelf: Shelf) -> None:
        state(page, shelf)
        for step in steps:
            step(page)

    return further


def opened(record: str, listing: str = "visits", kind: str = "visit") -> State:
    """A record in the sheet, opened from its card."""

    def state(page: Page, shelf: Shelf) -> None:
        at(f"/patients/{{patient}}/{listing}")(page, shelf)
        page.locator(f"#mf-card-{kind}-{getattr(shelf, record)}").click()
        page.locator("#mf-sheet[open] .mf-record").wait_for()

    return state


def press(selector: str, shown: str) -> Callable[[Page], None]:
    """Press what `selector` finds first and wait until `shown` is there."""

    def step(page: Page) -> None:
        page.locator(selector).first.click()
        page.locator(shown).first.wait_for()

    return step


def choose(*files: FilePayload, shown: str) -> Callable[[Page], None]:
    def step(page: Page) -> None:
        page.locator("[data-mf-input]").set_input_files(files)
        page.locator(shown).first.wait_for()

    return step


def hold_uploads(page: Page) -> None:
    """From here on what the page sends is under way until it is given up."""
    page.evaluate("""() => {
      const send = window.fetch;
      const never = (signal) => new Promise((_, fail) => signal.addEventListener("abort", () => fail(signal.reason)));
      window.fetch = (url, options) => (options?.method === "POST" ? never(options.signal) : send(url, options));
    }""")


def fail_uploads(page: Page) -> None:
    def fail(route: Route) -> None:
        route.fulfill(status=503, headers={"Retry-After": "5"}, body="")

    page.route("**/files", fail)


def sign_out(page: Page) -> None:
    page.context.clear_cookies()


SAVE, TRASH_TITLE = ".mf-form button[type=submit]", "#mf-sheet .mf-manager-head h2:text('Trash')"
LIST, SHEET, BARE = at("/patients/{patient}/visits"), opened("visit"), opened("bare")
NEW = then(LIST, press("#mf-new", "#mf-sheet[open] form"))
RECORD_TRASH = then(SHEET, press(".mf-manager-head [data-mf-action=view]", TRASH_TITLE))
PATIENT_TRASH = at("/patients/{patient}/trash")

SIGNED_OUT: Mapping[str, State] = {
    "sign-in": at("/sign-in"),
    "sign-in-refused": then(at("/sign-in"), press("button[type=submit]", ".mf-summary")),
}
SIGNED_IN: Mapping[str, State] = {
    "home": at("/"),
    "home-switcher": then(at("/"), press(".mf-switcher summary", ".mf-switcher .mf-pop")),
    "patient": at("/patients/{patient}"),
    "patient-form": at("/patients/{patient}/edit"),
    "patient-form-errors": then(at("/patients/new"), press(SAVE, ".mf-summary")),
    "records": LIST,
    "records-empty": at("/patients/{patient}/procedures"),
    "sheet": SHEET,
    "sheet-empty": BARE,
    "sheet-full": opened("full", "insurances", "insurance"),
    "sheet-edit": then(SHEET, press(".mf-edit-switch summary", ".mf-edit-row .mf-edit")),
    "sheet-deleted": then(SHEET, press("[data-mf-action=delete]", "[data-mf-action=undo]")),
    "sheet-trash": RECORD_TRASH,
    "sheet-purge": then(RECORD_TRASH, press("[data-mf-action=purge]", ".mf-ask[open]")),
    "sheet-refused": then(BARE, choose(WRONG, real_file("Growth.png"), shown=".mf-outcome-error")),
    "sheet-sending": then(BARE, hold_uploads, choose(real_file("Growth.png"), shown="[data-mf-sending]:not([hidden])")),
    "sheet-failed": then(BARE, fail_uploads, choose(real_file("Growth.png"), shown=".mf-problem")),
    "sheet-signed-out": then(BARE, sign_out, choose(real_file("Growth.png"), shown="[data-mf-signed-out]")),
    "sheet-form": NEW,
    "sheet-form-errors": then(NEW, press(SAVE, ".mf-summary")),
    "record": at("/visit/{visit}"),
    "record-trashed": at("/visit/{gone}"),
    "record-form": at("/visit/{visit}/edit"),
    "record-form-errors": then(at("/patients/{patient}/insurances/new"), press(SAVE, ".mf-summary")),
    "documents": at("/documents/visit/{visit}"),
    "documents-trash": at("/documents/visit/{visit}/trash"),
    "badge": at("/documents/visit/{visit}/badge"),
    "trash": PATIENT_TRASH,
    "trash-purge": then(PATIENT_TRASH, press("[command=show-modal]", ".mf-ask[open]")),
    "activity": at("/patients/{patient}/activity"),
    "account": at("/account"),
    "account-menu": then(at("/account"), press(".mf-menu-round", ".mf-menu-end .mf-pop")),
    "password": at("/account/password"),
    "second-step": at("/account/second-step"),
    "verify": at("/account/verify"),
    "error": at("/visit/999999999"),
    "sheet-gone": then(SHEET, press(".mf-record-foot button", ".mf-gone")),
}
# What a browser reports about an answer that a state is there to show.
NOISY: Mapping[str, str] = {
    "sheet-failed": "503", "sheet-signed-out": "401", "sheet-form-errors": "422", "record-form-errors": "422",
    "patient-form-errors": "422", "error": "404",
}  # fmt: skip
