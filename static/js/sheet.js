/**
 * The sheet: a record beside its list, with its own URL.
 */
import { announce, near, on } from "./dom.js";
import { _ } from "./i18n.js";
import { openerOf } from "./menus.js";
import * as unsaved from "./unsaved.js";

const doc = document;
const sheet = /** @type {HTMLDialogElement | null} */ (doc.getElementById("mf-sheet"));
const sheetBody = doc.getElementById("mf-sheet-body");
const home = location.pathname;
let opener = "";
let shown = ""; // URL of the record in the sheet

/** @param {Element} link receives the focus when the sheet is closed */
export const openedBy = ({ id }) => (opener = id);
/** @param {Element | null} target of a response */
export const isSheet = (target) => !!target && target === sheetBody;

export function showSheet() {
  if (!sheet || !sheetBody?.firstElementChild) return;
  const first = /** @type {HTMLElement} */ (sheetBody.firstElementChild);
  shown = first.dataset.mfUrl ?? location.href;
  if (sheet.open) history.replaceState({ mfSheet: true }, "", shown);
  else {
    history.pushState({ mfSheet: true }, "", shown);
    sheet.showModal();
  }
  sheet.scrollTop = 0;
  /** @type {HTMLElement | null} */ (sheet.querySelector("[data-mf-focus]"))?.focus();
}

export function closeSheet() {
  if (sheet && unsaved.mayLeave(sheet)) sheet.close();
}

/** @param {Element} notices the part of the page that confirms the last action */
export function showNotice(notices) {
  if (sheet?.open) sheet.close(); // it shows what has just been removed
  announce(/** @type {HTMLElement | null} */ (notices.querySelector("p"))?.innerText ?? "");
  /** @type {HTMLElement | null} */ (notices.querySelector("[data-mf-focus]"))?.focus();
}

function sheetClosed() {
  sheetBody?.replaceChildren();
  if (history.state?.mfSheet) history.back();
  const back = doc.getElementById(opener);
  const menu = back?.closest("details.mf-menu:not([open])");
  if (doc.activeElement === doc.body) (menu ? openerOf(menu) : (back ?? doc.getElementById("main")))?.focus();
}

sheet?.addEventListener("close", sheetClosed);
sheet?.addEventListener("cancel", (event) => {
  if (event.target !== sheet) return;
  event.preventDefault();
  closeSheet();
});
addEventListener("popstate", () => {
  if (!sheet) return; // the browser history belongs to the host page
  if (sheet.open && !unsaved.mayLeave(sheet)) history.pushState({ mfSheet: true }, "", shown);
  else if (sheet.open) sheet.close();
  else if (history.state?.mfSheet || location.pathname !== home) location.reload();
});

/**
 * Updates the URL and the title after a record's form was submitted.
 * @param {Element} record
 */
export function showPage(record) {
  const { mfUrl } = /** @type {HTMLElement} */ (record).dataset;
  if (mfUrl && mfUrl !== location.pathname) history.replaceState(history.state, "", mfUrl);
  doc.title = `${record.querySelector("h1")?.textContent ?? _("Record")} · medfiles`;
  /** @type {HTMLElement | null} */ (record.querySelector("[data-mf-focus]") ?? record.querySelector("h1"))?.focus();
}

/**
 * Asks about unsaved changes before the sheet shows another record.
 * @param {MouseEvent} event
 */
function leave(event) {
  if (!near(event, "[data-mf-leave]") || !sheet || unsaved.mayLeave(sheet)) return;
  event.preventDefault();
  event.stopPropagation();
}

doc.addEventListener("click", leave, true);
on("click", ({ target }) => target === sheet && closeSheet());
