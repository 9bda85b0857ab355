"""What the page around it wants for itself stays outside the widget, and what the widget wants stays inside."""

import json
from typing import Any

import pytest
from playwright.sync_api import Dialog, Page, expect

from tests.browser.host import OURS, Host, placeholder
from tests.browser.people import Person
from tests.browser.states import WRONG
from tests.browser.widget import menu, pick
from tests.support import samples

SHEET = "#column { width: 900px; }"
UGLY = """
* { box-sizing: content-box; }
body {
  font: italic 700 21px/2.2 Georgia, serif; font-variant: small-caps; color: #c00; text-align: right;
  text-indent: 9px; text-transform: uppercase; text-shadow: 1px 1px 2px red; letter-spacing: 3px; word-spacing: 5px;
  white-space: pre-wrap; cursor: crosshair; list-style: square inside; border-collapse: collapse;
  border-spacing: 9px; caption-side: bottom;
}
.app :is(
  button, input, select, textarea, table, caption, thead, tbody, tr, th, td, a, h1, h2, h3, form, ul, li, p, span, div,
  label, section, header, dialog, progress, details, summary, svg, img, figure, strong, time, option
):not(:where(#column, #column > .mf)) {
  display: inline-block; position: relative; top: 7px; float: right; width: 73%; max-width: 150px; min-height: 99px;
  margin: 11px; padding: 13px; border: 5px dashed lime; border-radius: 40px; outline: 3px solid blue;
  background: yellow; color: magenta; box-shadow: 0 0 9px black; font: italic 30px/3 fantasy; vertical-align: sub;
  text-transform: lowercase; text-decoration: line-through; text-align: center; letter-spacing: 8px; opacity: .5;
  list-style: decimal; filter: sepia(1); transform: rotate(3deg); appearance: none; overflow: hidden; cursor: wait;
  white-space: pre; z-index: 5; fill: red; stroke: red;
}
.app button::before, .app a::after, .app li::before, .app td::after { content: "!!"; display: block; color: red; }
.app ::placeholder { color: lime; font-size: 40px; }
.app dialog::backdrop { background: lime; backdrop-filter: blur(9px); }
button:hover, a:hover, input:focus { transform: scale(3); background: red; }
"""
LOOK = """(selector) => {
  const names = [...getComputedStyle(document.body)].sort();
  const look = (one, part) => {
    const style = getComputedStyle(one, part || null);
    const told = one.localName + (one.id && `#${one.id}`) + part;
    return [told, names.map((name) => style.getPropertyValue(name))];
  };
  const seen = {
    "": () => true,
    "::before": (one) => getComputedStyle(one, "::before").content !== "none",
    "::after": (one) => getComputedStyle(one, "::after").content !== "none",
    "::placeholder": (one) => one.placeholder,
    "::backdrop": (one) => one.matches("dialog[open]"),
  };
  const parts = (one) => Object.keys(seen).filter((part) => seen[part](one));
  const all = [...document.querySelectorAll(selector)];
  return JSON.stringify([names, all.flatMap((one) => parts(one).map((part) => look(one, part)))]);
}"""
INSIDE, OUTSIDE = "#column > .mf *", ":root, body, body :not(.mf, .mf *)"


@pytest.fixture(params=["4.0.1", "2.0.11"])
def host(page: Page, request: pytest.FixtureRequest) -> Host:
    return Host(page, request.param)


def look(page: Page, selector: str) -> list[tuple[str, dict[str, str]]]:
    """Every computed style of every element and pseudo-element."""
    names, looks = json.loads(page.evaluate(LOOK, selector))
    return [(told, dict(zip(names, values, strict=True))) for told, values in looks]


def differences(one: list[tuple[str, dict[str, str]]], other: list[tuple[str, dict[str, str]]]) -> list[str]:
    assert [told for told, _ in one] == [told for told, _ in other]
    return [
        f"{told} {name}: {value} / {theirs[name]}"
        for (told, mine), (_, theirs) in zip(one, other, strict=True)
        for name, value in mine.items()
        if value != theirs[name]
    ]


def column(*paths: str) -> str:
    return f'<div id="column">{"".join(placeholder(path) for path in paths)}</div>'


def shown(host: Host, visit: Any, css: str, attributes: str) -> list[tuple[str, dict[str, str]]]:
    """How manager, list and badge look, with a refused file, a search, a row being edited and another chosen."""
    at = f"/documents/visit/{visit.id}"
    host.build(column(at, f"{at}/list", f"{at}/badge"), css=SHEET + css, attributes=attributes)
    part, page = host.part(f"manager-visit-{visit.id}"), host.page
    expect(host.part(f"list-visit-{visit.id}-body").locator(".mf-row")).to_have_count(4)
    expect(host.part(f"badge-visit-{visit.id}")).to_be_visible()
    part.locator("[data-mf-input]").set_input_files(WRONG)
    part.get_by_text("Filter").click()
    menu(part.locator(".mf-row").nth(1)).get_by_role("link", name="Edit").click()
    expect(part.locator(".mf-edit")).to_be_visible()
    part.locator("input[name=file_ids]").first.check()
    page.mouse.move(0, 0)
    page.wait_for_load_state("networkidle")  # thumbnails take their shape once they have loaded
    return look(page, INSIDE)


def asking(host: Host, visit: Any, css: str, attributes: str) -> list[tuple[str, dict[str, str]]]:
    """How the trash looks when it asks whether to delete for ever."""
    host.build(column(f"/documents/visit/{visit.id}"), css=SHEET + css, attributes=attributes)
    part = host.part(f"manager-visit-{visit.id}")
    part.get_by_role("link", name="Trash (2)").click()
    part.locator(".mf-row").get_by_role("button", name="Delete permanently").first.click()
    expect(part.locator("dialog[open]")).to_be_visible()
    host.page.mouse.move(0, 0)
    host.page.wait_for_load_state("networkidle")
    return look(host.page, INSIDE)


@pytest.mark.parametrize("state", [shown, asking])
def test_style_rules_of_the_host_do_not_reach_into_the_widget(page: Page, person: Person, state: Any) -> None:
    visit = person.visit("Letter.pdf", "Scan.jpg", "Note.txt", "Growth.png", "Old.txt")
    person.attach(visit, "Old card.png", description="Both sides.", category="referral")
    for name in ("Old.txt", "Scan.jpg"):
        person.world.documents(person.email).trash(person.file_named(visit, name).id)
    host = Host(page, "4.0.1")
    plain = state(host, visit, "", "")
    assert len(plain) > 100
    assert differences(plain, state(host, visit, UGLY, ' class="app"')) == []


THEIRS = """<h1 class="htmx-indicator">Front desk</h1>
<form><input name="q" placeholder="Name"><select><option>A</option></select><textarea></textarea><button>Go</button>
<progress value="3" max="9"></progress></form><ul><li><a href="#">One</a></li></ul><p hidden>No</p>
<table><caption>T</caption><thead><tr><th>H</th></tr></thead><tbody><tr><td>D</td></tr></tbody></table>
<dialog open><p>Hello</p></dialog><details open><summary>More</summary></details>
<svg width="9" height="9"><path d="M0 0h9"/></svg>"""


@pytest.mark.parametrize("htmx", ["4.0.1", "2.0.11", ""])
def test_host_looks_as_it_does_without_medfiles(page: Page, person: Person, htmx: str) -> None:
    visit, host = person.visit("Letter.pdf"), Host(page, htmx)
    host.build(THEIRS, ours="")
    without = look(page, OUTSIDE)
    host.build(THEIRS + placeholder(f"/documents/visit/{visit.id}"), ours=OURS)
    expect(host.part(f"manager-visit-{visit.id}")).to_be_visible()
    page.evaluate("document.querySelector('.mf').remove()")
    assert differences(without, look(page, OUTSIDE)) == []


WISHES = {
    "4.0.1": """ hx-target:inherited="#hostmain" hx-swap:inherited="innerHTML" hx-boost:inherited="true"
      hx-headers:inherited='{"X-Host": "leak", "X-CSRFToken": "theirs"}'""",
    "2.0.11": """ hx-target="#hostmain" hx-swap="innerHTML" hx-boost="true"
      hx-headers='{"X-Host": "leak", "X-CSRFToken": "theirs"}'""",
}
LATER = """(more) => {
  const named = (name) => (htmx.version.startsWith("4") ? `${name}:inherited` : name);
  for (const [name, value] of Object.entries(more)) document.body.setAttribute(named(name), value);
}"""


def test_inherited_htmx_attributes_of_the_host_are_ignored(host: Host, person: Person) -> None:
    visit = person.visit("Letter.pdf", "Scan.jpg", "Note.txt", "Growth.png")
    at, page = f"/documents/visit/{visit.id}", host.page
    asked: list[Dialog] = []
    page.on("dialog", lambda dialog: asked.append(dialog))
    parts = column(at, f"{at}/list", f"{at}/badge")
    if host.htmx == "2.0.11":
        parts = parts.replace('class="mf"', 'class="mf" hx-disinherit="*"')
    host.build(f'<main id="hostmain">Their own</main>{parts}', attributes=WISHES[host.htmx])
    expect(host.part(f"badge-visit-{visit.id}")).to_be_visible()
    part, alone = host.part(f"manager-visit-{visit.id}"), host.part(f"list-visit-{visit.id}-body")
    expect(part.locator(".mf-row")).to_have_count(4)
    expect(alone.locator(".mf-row")).to_have_count(4)
    page.evaluate(
        LATER, {"hx-select": "#nothing", "hx-push-url": "true", "hx-confirm": "Sure?", "hx-select-oob": "#no"}
    )
    host.sent.clear()
    row = part.locator(".mf-row").filter(has_text="Letter.pdf")
    menu(row).get_by_role("button", name="Move to trash").click()
    part.get_by_role("button", name="Undo").click()
    menu(row).get_by_role("link", name="Edit").click()
    part.locator(".mf-edit").get_by_label("Description").fill("Signed.")
    part.locator(".mf-edit").get_by_role("button", name="Save").click()
    expect(alone).to_contain_text("Signed.")
    with page.expect_download():
        menu(row).get_by_role("link", name="Download").click()
    alone.locator(".mf-sort-menu summary").click()
    alone.get_by_role("link", name="Name", exact=True).click()
    alone.get_by_role("searchbox").fill("scan")
    expect(alone.locator(".mf-row")).to_have_count(1)
    alone.locator("input[name=file_ids]").check()
    alone.get_by_role("button", name="Move to trash", exact=True).click()
    part.get_by_role("link", name="Trash (1)").click()
    expect(part.get_by_role("heading", name="Trash")).to_be_visible()
    pick_nothing(page)
    assert page.locator("#hostmain").inner_text() == "Their own"
    assert (page.url.endswith("/host.html"), asked) == (True, [])
    assert [request.url for request in host.asked("/documents/") if "x-host" in request.headers] == []


def pick_nothing(page: Page) -> None:
    """Time for everything on its way to arrive."""
    page.wait_for_load_state("networkidle")


LISTENERS = """
window.heard = [];
for (const name of ["click", "keydown", "submit", "dragover", "drop", "paste"])
  document.addEventListener(name, (event) => {
    if (!event.target.closest(".mf")) heard.push([name, event.defaultPrevented]);
    if (name === "submit" && event.target.id === "theirs") event.preventDefault();
  });
for (const name of ["dragover", "drop"])
  document.getElementById("drop").addEventListener(name, (event) => event.preventDefault());
"""
DRAG = """() => {
  const dataTransfer = new DataTransfer();
  dataTransfer.items.add(new File(["x"], "x.txt"));
  Object.defineProperty(dataTransfer, "dropEffect", { value: "copy", writable: true });
  const how = { dataTransfer, bubbles: true, cancelable: true };
  for (const name of ["dragenter", "dragover", "drop"])
    document.getElementById("drop").dispatchEvent(new DragEvent(name, how));
  return dataTransfer.dropEffect;
}"""


def test_clicks_keys_forms_and_drops_of_the_host_are_untouched(host: Host, person: Person) -> None:
    visit, page = person.visit("Letter.pdf"), host.page
    theirs = (
        '<form id="theirs"><input id="name" name="name"><button id="save">Save</button></form><div id="drop">Drop</div>'
    )
    host.build(theirs + placeholder(f"/documents/visit/{visit.id}"), js=LISTENERS)
    expect(host.part(f"manager-visit-{visit.id}")).to_be_visible()
    page.locator("#name").fill("Ella")
    page.locator("#name").press("Escape")
    page.locator("#name").press("Enter")
    page.locator("#save").click()
    assert page.evaluate(DRAG) == "copy"
    heard = page.evaluate("heard.map(([name, prevented]) => `${name} ${prevented}`)")
    keys = ["keydown false", "keydown false", "click false", "submit false"]
    assert heard == [*keys, "click false", "submit false", "dragover true", "drop true"]
    assert host.part(f"manager-visit-{visit.id}").locator(".mf-upload").count() == 0


def test_history_of_the_host_does_not_reload_its_page(host: Host, person: Person) -> None:
    visit, page = person.visit("Letter.pdf"), host.page
    host.parts(f"/documents/visit/{visit.id}")
    expect(host.part(f"manager-visit-{visit.id}")).to_be_visible()
    page.evaluate("window.stillHere = true; history.pushState({}, '', '/host/other')")
    page.evaluate("history.back()")
    page.wait_for_url("**/host.html")
    page.evaluate("history.forward()")
    page.wait_for_url("**/host/other")
    expect(host.part(f"manager-visit-{visit.id}").locator(".mf-row")).to_have_count(1)
    assert page.evaluate("window.stillHere") is True


def test_browser_storage_holds_no_patient_data(host: Host, person: Person) -> None:
    visit, page = person.visit("Letter.pdf"), host.page
    go = '<a id="go" href="#" hx-get="/host/page.css" hx-target="#hostmain" hx-push-url="/host/other">Go</a>'
    at = f"/documents/visit/{visit.id}"
    host.build(f'<main id="hostmain"></main>{go}{column(at, f"{at}/list", f"{at}/badge")}')
    expect(host.part(f"list-visit-{visit.id}-body").locator(".mf-row")).to_have_count(1)
    page.locator("#go").click()
    page.wait_for_url("**/host/other")
    stored = page.evaluate("JSON.stringify([{ ...localStorage }, { ...sessionStorage }])")
    assert "Letter" not in stored
    assert "/documents/" not in stored


def test_csrf_token_of_the_host_does_not_replace_ours(host: Host, person: Person) -> None:
    visit, page = person.visit(), host.page
    host.build(column(f"/documents/visit/{visit.id}"), attributes=""" hx-headers='{"X-CSRFToken": "theirs"}'""")
    pick(page, {"name": "Note.txt", "mimeType": "text/plain", "buffer": samples.txt()})
    part = host.part(f"manager-visit-{visit.id}")
    expect(part.locator(".mf-row")).to_have_count(1)
    menu(part.locator(".mf-row")).get_by_role("button", name="Move to trash").click()
    expect(part.get_by_role("button", name="Undo")).to_be_visible()
