"""Every page of medfiles and every state it can be in, by name: what is tested for access and what is pictured."""

from collections.abc import Callable, Mapping

from PIL import Image
from playwright.sync_api import FilePayload, Page

from tests.browser.people import Shelf, real_file
from tests.support import samples

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


def both(*steps: Callable[[Page], None]) -> Callable[[Page], None]:
    def step(page: Page) -> None:
        for one in steps:
            one(page)

    return step


def choose(*files: FilePayload, shown: str) -> Callable[[Page], None]:
    def step(page: Page) -> None:
        page.locator("[data-mf-input]").set_input_files(files)
        page.locator(shown).first.wait_for()

    return step


def hold_uploads(page: Page) -> None:
    """From here on the files a page sends are under way until they are given up: some of each is sent, of one all."""
    page.evaluate("""() => {
      const send = XMLHttpRequest.prototype.send, shares = [0.64, 0.31, 1];
      XMLHttpRequest.prototype.send = function (body) {
        if (!(body instanceof File)) return send.call(this, body);
        const [share, total] = [shares.shift() ?? 0, body.size];
        const sent = (type) => this.upload.dispatchEvent(new ProgressEvent(type, { loaded: share * total, total }));
        sent("progress");
        if (share === 1) sent("load");
      };
    }""")


def allow_small_files_only(page: Page) -> None:
    page.locator("[data-mf-zone]").evaluate("(zone) => zone.setAttribute('data-mf-max-size', '400000')")


def fail(address: str, status: int = 503, headers: dict[str, str] | None = None) -> Callable[[Page], None]:
    """From here on this gives no answer but an error."""

    def step(page: Page) -> None:
        page.route(address, lambda route: route.fulfill(status=status, headers=headers, body=""))

    return step


def hold(address: str) -> Callable[[Page], None]:
    """From here on this is waited for in vain."""

    def step(page: Page) -> None:
        page.route(address, lambda route: None)

    return step


def follow(link: str, shown: str, instead: str = "/preview") -> Callable[[Page], None]:
    """The page a link leads to, as a page of its own."""

    def step(page: Page) -> None:
        address = page.locator(link).first.get_attribute("href") or ""
        page.goto(address.replace("/preview", instead))
        page.locator(shown).first.wait_for()

    return step


def ready(page: Page) -> None:
    page.locator("[data-mf-print]:enabled").wait_for()


def without_answer(address: str, state: State) -> State:
    """A state that has still to be told this."""

    def waiting(page: Page, shelf: Shelf) -> None:
        page.route(address, lambda route: route.fulfill(status=204))
        state(page, shelf)

    return waiting


def narrow(page: Page) -> None:
    """Make the window as narrow as a phone."""
    page.set_viewport_size({"width": 390, "height": 844})


def tick(*numbers: int) -> Callable[[Page], None]:
    """Choose rows of a list by their place."""

    def step(page: Page) -> None:
        for number in numbers:
            page.locator("input[name=file_ids]").nth(number).check()
        page.locator(".mf-bulk").first.wait_for()

    return step


def search(words: str, shown: str) -> Callable[[Page], None]:
    def step(page: Page) -> None:
        page.locator("[data-mf-filter] [name=q]").fill(words)
        page.locator(shown).first.wait_for()

    return step


def mark(page: Page) -> None:
    """For removal, in the form of a record."""
    page.locator(".mf-remove").first.click()
    page.locator("[data-mf-mark]:checked").wait_for(state="attached")


def unfold(page: Page) -> None:
    page.locator("details").evaluate_all("(all) => all.forEach((one) => { one.open = true })")


def trash_one_behind_its_back(page: Page) -> None:
    """The first of the chosen ones is deleted by somebody else, then all of them here."""
    page.evaluate("""async () => {
      const [id, token] = [document.querySelector("input[name=file_ids]:checked").value, document.body.dataset.mfCsrf];
      await fetch(`/documents/files/${id}/delete`, { method: "POST", headers: { "X-CSRFToken": token } });
    }""")


def change_elsewhere(page: Page) -> None:
    """Another tab tells that it changed the record shown here."""
    page.locator("[data-mf-body]").evaluate("""({ dataset: { mfType: type, mfId: id } }) => {
      const detail = { type, id, count: 3, remote: true };
      document.dispatchEvent(new CustomEvent("documents:changed", { detail }));
    }""")


def edited_twice(page: Page) -> None:
    """The notes are changed in another tab, then here."""
    page.locator("form.mf-form").evaluate("""async (form) => {
      const data = new URLSearchParams(new FormData(form));
      const texts = ["Call the clinic before the next visit.", "Call the clinic first."];
      data.set("notes", texts.find((text) => text !== data.get("was_notes")));
      await fetch(form.action, { method: "POST", body: data });
    }""")
    page.locator("form.mf-form [name=notes]").fill("Bring the vaccination card and the list of medicines.")


def document_edited_twice(page: Page) -> None:
    page.locator("form.mf-edit").evaluate("""async (form) => {
      const data = new URLSearchParams(new FormData(form));
      const texts = ["Height and weight since birth.", "Height since birth."];
      data.set("description", texts.find((text) => text !== data.get("was_description")));
      await fetch(form.action, { method: "POST", body: data });
    }""")
    page.locator(".mf-edit [name=description]").fill("For the school doctor")


def embedded(*paths: str, shown: str) -> State:
    """Parts of the widget by themselves, as another page embeds them."""

    def state(page: Page, shelf: Shelf) -> None:
        at("/")(page, shelf)
        page.locator(".mf-main").evaluate(
            """async (main, paths) => {
              main.innerHTML = paths.map((path) => `<div hx-get="${path}" hx-trigger="load"></div>`).join("");
              htmx.process(main);
            }""",
            [path.format(**vars(shelf)) for path in paths],
        )
        page.locator(shown).nth(len(paths) - 1).wait_for()

    return state


def renamed(file: FilePayload, name: str) -> FilePayload:
    return {"name": name, "mimeType": file["mimeType"], "buffer": file["buffer"]}


def photo() -> FilePayload:
    size = (1500, 2000)
    table = Image.radial_gradient("L").resize(size).point(lambda grey: 90 - grey // 4)
    table.paste(samples.picture(900, 1300, 200).convert("L"), (300, 350))
    picture = Image.blend(table, Image.effect_noise(size, 60), 0.15)
    content = samples.encoded(picture, "JPEG", quality=97)
    return {"name": "Photo of the letter.jpg", "mimeType": "image/jpeg", "buffer": content}


GROWTH, LETTER, NOTE = real_file("Growth.png"), real_file("Letter.pdf"), real_file("Old note.txt")
GROWTH_AGAIN, EMPTY = renamed(GROWTH, "Growth chart.png"), FilePayload(name="Scan.pdf", mimeType="", buffer=b"")
SAVE, TRASH_TITLE = ".mf-form button[type=submit]", "#mf-sheet .mf-body[data-mf-view=trash]"
NINE = [renamed(NOTE, f"Note {number}.txt") for number in range(1, 10)]
FILES, ROW = (GROWTH, LETTER, NOTE, real_file("Discharge summary.docx")), ".mf-upload[data-mf-state={}]"
LIST, SHEET, BARE, LONG = at("/patients/{patient}/visits"), opened("visit"), opened("bare"), opened("long")
NEW = then(LIST, press("#mf-new", "#mf-sheet[open] form"))
TO_TRASH, DELETE_SOME = press(".mf-manager-head [data-mf-action=view]", TRASH_TITLE), ".mf-bulk [value=delete]"
RECORD_TRASH = then(SHEET, TO_TRASH)
LONG_TRASH = then(LONG, tick(0, 1, 2), press(DELETE_SOME, ".mf-notice-ok"), TO_TRASH)
PATIENT_TRASH = at("/patients/{patient}/trash")
EDIT_RECORD = then(SHEET, press(".mf-record-acts a", "#mf-sheet form"))
MENU = press(".mf-patient-acts .mf-menu-square summary", ".mf-patient-acts .mf-menu-square .mf-pop")
RECORD_MENU = press("#mf-sheet .mf-menu-square summary", "#mf-sheet .mf-menu-square .mf-pop")
ACCOUNT_MENU = ":is(.mf-side, .mf-tabbar) summary:visible"
ROW_MENU = press(".mf-row .mf-dots", ".mf-row-menu")
EDIT_ROW = both(ROW_MENU, press(".mf-row-menu [data-mf-action=edit]", ".mf-edit [name=file_name]"))
SAVE_ROW = ".mf-edit [data-mf-action=edit]"
BADGES = [
    f"/documents/visit/{record}/badge?variant={variant}&size={size}"
    for record in ("{visit}", "{bare}")
    for variant in ("badge", "text", "icon")
    for size in ("xs", "sm", "md", "lg")
]

SHOWN, DRAWN = ".mf-look[open] [data-mf-state=shown]", ".mf-look[open] [data-mf-picture=shown]"


def looked_at(kind: str, record: str, name: str, shown: str = SHOWN) -> State:
    """A document in the preview, opened from its record's list."""
    page = at(f"/documents/{kind}/{{{record}}}")
    return then(page, press(f".mf-look-link:has-text('{name}')", shown))


SCAN = at("/documents/procedure/{scan}")
LOOK = looked_at("procedure", "scan", "Discharge letter.pdf", DRAWN)
SHARED = then(at("/s/{link}"), press("button[type=submit]", ".mf-shared-list"))
SIGNED_OUT: Mapping[str, State] = {
    "sign-in": at("/sign-in"),
    "api": at("/api/v1/docs"),
    "api-unfolded": then(at("/api/v1/docs#conflict"), unfold),
    "sign-in-refused": then(at("/sign-in"), press("button[type=submit]", ".mf-summary")),
    "shared-landing": at("/s/{link}"),
    "shared-list": SHARED,
    "shared-letter": then(SHARED, press(".mf-shared-list a:has-text('Discharge')", ".mf-shared-page")),
    "shared-image": then(SHARED, press(".mf-shared-list a:has-text('Chest')", ".mf-shared-page")),
    "shared-table": then(SHARED, press(".mf-shared-list a:has-text('Blood')", ".mf-shared-sheet")),
    "shared-words": then(SHARED, press(".mf-shared-list a:has-text('Physio')", ".mf-prose")),
    "shared-diary": then(SHARED, press(".mf-shared-list a:has-text('Sleep')", ".mf-look-text")),
    "shared-gone": at("/s/made-up"),
}


def drop_into_inbox(page: Page) -> None:
    files: list[FilePayload] = [
        {"name": "Scan 1.txt", "mimeType": "text/plain", "buffer": b"Clinic letter. Patient: Ella Sample"},
        {"name": "Scan 2.pdf", "mimeType": "application/pdf", "buffer": samples.pdf()},
    ]
    page.locator(".mf-inbox-add [data-mf-input]").set_input_files(files)
    page.locator(".mf-inbox-item").nth(1).wait_for()


def drop_on_home(page: Page) -> None:
    page.evaluate("""() => {
      const dataTransfer = new DataTransfer();
      dataTransfer.items.add(new File(["Letter"], "Letter.txt", { type: "text/plain" }));
      document.querySelector("h1").dispatchEvent(
        new DragEvent("drop", { bubbles: true, cancelable: true, dataTransfer }));
    }""")
    page.locator("[data-mf-whose][open]").wait_for()


INBOX = then(at("/patients/{patient}/inbox"), drop_into_inbox)
SIGNED_IN: Mapping[str, State] = {
    "home": at("/"),
    "home-whose": then(at("/"), drop_on_home),
    "all-people": at("/patients"),
    "share-choose": at("/patients/{patient}/share"),
    "links": at("/links"),
    "link": at("/links/{link_id}"),
    "account-trash": at("/trash"),
    "account-trash-purge": then(at("/trash"), press("[command=show-modal]", ".mf-ask[open]")),
    "patient-archived": at("/patients/{archived}"),
    "inbox": INBOX,
    "inbox-more": then(INBOX, press(".mf-inbox-more-acts summary", ".mf-inbox-pop")),
    "inbox-nothing-to-look-at": at("/inbox?need=1"),
    "patient": at("/patients/{patient}"),
    "patient-documents": at("/patients/{patient}/documents"),
    "patient-profile": at("/patients/{patient}/profile"),
    "patient-new-menu": then(at("/patients/{patient}"), press(".mf-new-menu summary", ".mf-new-menu .mf-pop")),
    "patient-form": at("/patients/{patient}/edit"),
    "patient-form-errors": then(at("/patients/new"), press(SAVE, ".mf-summary")),
    "records": LIST,
    "records-badges-loading": without_answer("**/badges?*", LIST),
    "records-empty": at("/patients/{patient}/procedures"),
    "sheet": SHEET,
    "sheet-empty": BARE,
    "sheet-full": opened("full", "insurances", "insurance"),
    "sheet-grid": then(SHEET, press("[data-mf-layout-as=grid]", "[data-mf-layout=grid]")),
    "sheet-row-menu": then(SHEET, ROW_MENU),
    "sheet-order": then(SHEET, press(".mf-sort-menu summary", ".mf-sort-menu .mf-pop")),
    "sheet-edit-row": then(SHEET, EDIT_ROW),
    "sheet-edit-row-conflict": then(SHEET, EDIT_ROW, document_edited_twice, press(SAVE_ROW, ".mf-clash")),
    "sheet-form-conflict": then(EDIT_RECORD, edited_twice, press(SAVE, ".mf-clash")),
    "patient-form-conflict": then(at("/patients/{patient}/edit"), edited_twice, press(SAVE, ".mf-clash")),
    "record-history": at("/visit/{visit}/history"),
    "patient-history": at("/patients/{patient}/history"),
    "patient-menu": then(at("/patients/{patient}"), MENU),
    "sheet-changed-elsewhere": then(SHEET, EDIT_ROW, change_elsewhere),
    "sheet-list-failed": then(
        SHEET, fail("**/trash?*"), press(".mf-manager-head [data-mf-action=view]", ".mf-problem")
    ),
    "sheet-trash": RECORD_TRASH,
    "sheet-purge": then(RECORD_TRASH, press("[data-mf-action=purge]", ".mf-ask[open]")),
    "queue-refused": then(BARE, choose(WRONG, EMPTY, shown=ROW.format("refused"))),
    "queue-no-room": then(BARE, hold_uploads, choose(*NINE, shown="[data-mf-code=too-many]")),
    "queue-into-inbox": then(
        opened("full", "insurances", "insurance"),
        choose(GROWTH_AGAIN, shown=ROW.format("refused")),
        press("[data-mf-together=inbox]", "[data-mf-elsewhere]"),
    ),
    "queue-sending": then(BARE, hold_uploads, choose(*FILES, shown="[data-mf-status]:text('64%')")),
    "queue-waiting": then(
        BARE, fail("**/files*", headers={"Retry-After": "5"}), choose(*FILES, shown=ROW.format("waiting"))
    ),
    "queue-failed": then(BARE, fail("**/files*", 403), choose(GROWTH, LETTER, shown=ROW.format("failed"))),
    "queue-offline": then(
        BARE, lambda page: page.context.set_offline(True), choose(GROWTH, LETTER, shown=ROW.format("paused"))
    ),
    "queue-signed-out": then(
        BARE, lambda page: page.context.clear_cookies(), choose(GROWTH, LETTER, shown="[data-mf-upload-signed-out]")
    ),
    "queue-reduced-sending": then(
        BARE, allow_small_files_only, hold_uploads, choose(photo(), shown=ROW.format("sending"))
    ),
    "queue-reduced": then(SHEET, allow_small_files_only, choose(photo(), shown=ROW.format("reduced"))),
    "queue-elsewhere": then(
        BARE, hold_uploads, choose(GROWTH, shown=ROW.format("sending")), press("[data-mf-close]", "#mf-uploads")
    ),
    "list-long": LONG,
    "list-filter": then(LONG, press(".mf-narrowing summary", ".mf-narrowing[open] [name=media]")),
    "list-found": then(LONG, search("note 1", ".mf-hits")),
    "list-nothing": then(LONG, search("knee", ".mf-empty")),
    "list-chosen": then(LONG, tick(0, 2)),
    "list-chosen-all": then(
        LONG, press("[data-mf-select]", ".mf-bulk"), press("[data-mf-tick-all]", "[data-mf-choose-all]")
    ),
    "list-alone": embedded("/documents/visit/{visit}/list", shown=".mf-body"),
    "trash-chosen": then(LONG_TRASH, tick(0, 2)),
    "trash-chosen-purge": then(LONG_TRASH, tick(0, 2), press(".mf-bulk [command=show-modal]", ".mf-ask[open]")),
    "sheet-bulk-refused": then(LONG, tick(0, 1, 2), trash_one_behind_its_back, press(DELETE_SOME, ".mf-outcome-error")),
    "sheet-form": NEW,
    "sheet-form-held": then(NEW, choose(GROWTH, LETTER, shown=ROW.format("held"))),
    "sheet-form-errors": then(NEW, press(SAVE, ".mf-summary")),
    "sheet-form-marks": then(EDIT_RECORD, mark, choose(NOTE, shown=ROW.format("held"))),
    "search-found": at("/search?q=letter&type=visit"),
    "search-filter": then(at("/search?q=letter"), press(".mf-search-chips summary", ".mf-search-chips .mf-pop a")),
    "search-dates": then(at("/search?q=letter"), press(".mf-search-chips details:last-of-type summary", "#mf-in-from")),
    "record": at("/visit/{visit}"),
    "record-shared": at("/visit/{shared}"),
    "record-trashed": at("/visit/{gone}"),
    "record-form": at("/visit/{visit}/edit"),
    "record-form-errors": then(at("/patients/{patient}/insurances/new"), press(SAVE, ".mf-summary")),
    "documents": at("/documents/visit/{visit}"),
    "documents-trash": at("/documents/visit/{visit}/trash"),
    "documents-held": at("/documents/visit/{held}"),
    "patient-held": at("/patients/{helds}"),
    "badge": at("/documents/visit/{visit}/badge"),
    "badges": embedded(*BADGES, shown=".mf-badge-holder"),
    "trash": PATIENT_TRASH,
    "trash-purge": then(PATIENT_TRASH, press("[command=show-modal]", ".mf-ask[open]")),
    "people": at("/patients/{patient}/people"),
    "people-change": then(at("/patients/{patient}/people"), press("a[href*='change=']", ".mf-form .mf-buttons a")),
    "people-errors": then(at("/patients/{patient}/people"), press(SAVE, ".mf-summary")),
    "patient-shared": then(at("/patients/{theirs}"), press(".mf-give-up summary", ".mf-give-up[open]")),
    "activity": at("/patients/{patient}/activity"),
    "account": at("/account"),
    "account-menu": then(at("/account"), press(ACCOUNT_MENU, "details[open] > .mf-pop")),
    "token": at("/account/tokens/new"),
    "token-errors": then(at("/account/tokens/new"), press(SAVE, ".mf-summary")),
    "status": at("/status"),
    "password": at("/account/password"),
    "second-step": at("/account/second-step"),
    "verify": at("/account/verify"),
    "error": at("/visit/999999999"),
    "look-pages": LOOK,
    "look-keys": then(LOOK, press("[data-mf-key=help]", ".mf-look-help")),
    "look-photo": looked_at("procedure", "scan", "The sheet on the fridge.jpg", DRAWN),
    "look-scan": looked_at("procedure", "scan", "Chest.dcm", DRAWN),
    "look-letter": looked_at("procedure", "scan", "Physiotherapy plan.docx"),
    "look-nothing": looked_at("procedure", "scan", "Old letter.doc"),
    "look-table": looked_at("lab-result", "tables", "Blood pressure.xlsx"),
    "look-text": looked_at("lab-result", "tables", "Sleep.txt"),
    "look-loading": then(
        SCAN, hold("**/preview"), press(".mf-look-link:has-text('Chest.dcm')", ".mf-look[open] .mf-spinner")
    ),
    "look-failed": then(SCAN, fail("**/preview", 500), press(".mf-look-link:has-text('Chest.dcm')", "[data-mf-again]")),
    "look-page": then(SCAN, follow(".mf-look-link:has-text('Chest.dcm')", "[data-mf-picture=shown]")),
    "print": then(SCAN, follow(".mf-look-link:has-text('Chest.dcm')", ".mf-print", "/print"), ready),
    "sheet-deleted": then(SHEET, ROW_MENU, press(".mf-row-menu [data-mf-action=delete]", "[data-mf-action=undo]")),
    "sheet-twin": then(BARE, choose(GROWTH, shown=".mf-row"), choose(GROWTH_AGAIN, shown=".mf-twin")),
    "sheet-menu": then(SHEET, RECORD_MENU),
    "record-add": then(at("/visit/{visit}"), narrow, press(".mf-add", ".mf-add-menu button")),
    "card": then(at("/insurance/{full}"), narrow, press(".mf-show-card", ".mf-wallet[open]")),
    "records-undo": then(
        opened("doomed"), RECORD_MENU, press("#mf-sheet .mf-menu-square .mf-danger", "#mf-notices form")
    ),
    "move-documents": then(LONG, tick(0, 2), press(".mf-bulk [value=move]", ".mf-moving")),
    "move-record": at("/visit/{visit}/move"),
    "document-seen": then(
        at("/patients/{patient}/activity"),
        press(".mf-trail-only", "a[href$='/seen']"),
        press("a[href$='/seen']", ".mf-settings, .mf-empty-box"),
    ),
}
# What a browser reports about an answer that a state is there to show.
NOISY: Mapping[str, str] = {
    "sheet-list-failed": "503", "queue-waiting": "503", "queue-failed": "403", "queue-signed-out": "401",
    "queue-offline": "ERR_INTERNET_DISCONNECTED", "sheet-form-errors": "422", "record-form-errors": "422",
    "patient-form-errors": "422", "people-errors": "422", "token-errors": "422", "error": "404", "look-failed": "500",
    "shared-gone": "404",
    "sheet-edit-row-conflict": "409", "sheet-form-conflict": "409", "patient-form-conflict": "409",
}  # fmt: skip
