/**
 * Enhances the document widget and the record sheet, which also work without script.
 * Bundled by `make assets` into dist/medfiles.js, which is served as /static/medfiles.js.
 * Runs with htmx 2.0.11 and 4.0.1, or loads the vendored one if the page has none. No other dependencies.
 */
import "./answers.js";
import * as card from "./card.js";
import { announce, near } from "./dom.js";
import { fit } from "./fit.js";
import * as focus from "./focus.js";
import * as fresh from "./fresh.js";
import * as guard from "./guard.js";
import { bring, listen } from "./host.js";
import { _ } from "./i18n.js";
import * as inbox from "./inbox.js";
import * as layout from "./layout.js";
import * as links from "./links.js";
import * as list from "./list.js";
import * as menus from "./menus.js";
import * as older from "./older.js";
import * as paper from "./paper.js";
import * as preview from "./preview.js";
import * as previewWords from "./preview-words.js";
import * as rowMenu from "./row-menu.js";
import * as search from "./search.js";
import * as sheet from "./sheet.js";
import * as unsaved from "./unsaved.js";
import * as upload from "./upload.js";

const doc = document;

/* Clicks and keys */

/** @type {Record<string, (button: HTMLElement) => void>} */
const presses = {
  "[data-mf-close]": sheet.closeSheet,
  "[data-mf-reload]": () => location.reload(),
  "[data-mf-open]": sheet.openedBy,
  "[data-mf-copy]": copy,
  "[data-mf-reveal]": reveal,
  "[data-mf-action], .mf-bulk button": focus.remember,
};

doc.addEventListener("click", (event) => {
  for (const [selector, press] of Object.entries(presses)) {
    const found = near(event, selector);
    if (found) press(found);
  }
});
doc.addEventListener("keydown", (event) => {
  if (event.repeat && ["Enter", " "].includes(event.key) && near(event, "button, a")?.closest(".mf-manager, .mf-body"))
    event.preventDefault(); // a held key counts once
  const leave = event.key === "Escape" && near(event, ".mf-edit")?.querySelector("[data-mf-cancel-edit]");
  if (leave) {
    event.preventDefault(); // keep the sheet open
    const isKept = !unsaved.isWritten(near(event, ".mf-doc, .mf-look-details"));
    if (isKept || unsaved.mayLose()) /** @type {HTMLElement} */ (leave).click();
    return;
  }
});
doc.addEventListener("submit", (event) => {
  const button = near(event, ".mf-edit")?.querySelector("[data-mf-action]");
  if (button) focus.remember(/** @type {HTMLElement} */ (button));
});

/**
 * Copies the value of the field that the button names. The field is selected even if copying fails.
 * @param {HTMLElement} button
 */
async function copy(button) {
  const field = /** @type {HTMLInputElement} */ (doc.getElementById(button.dataset.mfCopy ?? ""));
  field.select();
  try {
    await navigator.clipboard.writeText(field.value);
    const words = /** @type {HTMLElement} */ (button.querySelector("span"));
    words.textContent = _("Copied");
    announce(_("Copied."));
  } catch {
    announce(_("Couldn’t copy. The text is selected so you can copy it yourself."));
  }
}

/** @param {HTMLElement} button shows the password in the field it names, or hides it again */
function reveal(button) {
  const field = /** @type {HTMLInputElement} */ (doc.getElementById(button.dataset.mfReveal ?? ""));
  const shown = field.type === "password";
  field.type = shown ? "text" : "password";
  button.setAttribute("aria-pressed", String(shown));
}

/** @param {Element} part newly swapped content */
function say(part) {
  const said = [...part.querySelectorAll("[data-mf-say]")]
    .flatMap((one) => [...one.querySelectorAll("p, li, :scope > span")])
    .map((one) => /** @type {HTMLElement} */ (one).innerText);
  if (said.length) announce(said.join(" "), part);
}

listen("swapped", ({ target }) => {
  if (target?.matches?.(".mf-look-body")) return preview.shown(target);
  fit();
  list.refreshed();
  layout.lay();
  const record = target?.matches?.("article.mf-record") && doc.querySelector(".mf-main article.mf-record");
  const whole = (sheet.isSheet(target) ? target : record)?.querySelector?.(".mf-manager");
  if (whole) fresh.acting(whole.id); // this response already shows the change
  if (target?.id === "mf-notices") return sheet.showNotice(target);
  if (sheet.isSheet(target) || record) guard.pageChanged();
  if (sheet.isSheet(target)) return sheet.showSheet();
  if (record) return sheet.showPage(record);
  const part = target?.id ? doc.getElementById(target.id) : null;
  if (part?.closest(".mf")) say(part);
  focus.goOn(target);
});

if (!("commandForElement" in HTMLButtonElement.prototype)) {
  doc.addEventListener("click", (event) => {
    const button = near(event, "button[commandfor]");
    const dialog = /** @type {HTMLDialogElement | null} */ (
      doc.getElementById(button?.getAttribute("commandfor") ?? "")
    );
    if (button?.getAttribute("command") === "show-modal") dialog?.showModal();
    else if (button) dialog?.close();
  });
}

doc.documentElement.classList.add("mf-js");
guard.start();
menus.start();
older.start();
upload.start();
unsaved.start();
fresh.start();
list.start();
links.start();
inbox.start();
layout.start();
rowMenu.start();
card.start();
paper.start();
search.start();
preview.start();
previewWords.start();
fit();
doc.readyState === "complete" ? bring() : addEventListener("load", bring);
