/**
 * The row that asks for a new document's details. It is kept here, because refreshing the list would remove it.
 */
import { announce } from "./dom.js";
import { htmx, listen } from "./host.js";
import { _ } from "./i18n.js";

/** @type {Map<string, Element>} by the id of the document's row */
const asked = new Map();

/** @param {Element} row of a new document, as the server rendered it */
export function keep(row) {
  const question = row.querySelector("[data-mf-asking]");
  if (question) asked.set(row.id, question);
  else asked.delete(row.id);
}

/** @param {import("./host.js").Exchange} exchange */
function restore({ source, status }) {
  if (status < 400 && source?.closest?.("[data-mf-asking]")) announce(_("Saved."), source);
  for (const [id, question] of asked) {
    const row = document.getElementById(id);
    if (row?.contains(question)) continue;
    const isAway = !row && document.getElementById(id.replace(/-doc-\d+$/, ""));
    if (isAway) continue; // on another page of the list
    if (row?.querySelector(":scope > .mf-row") && !row.querySelector("[data-mf-asking]")) {
      row.append(question);
      htmx()?.process(question);
    } else asked.delete(id); // it is edited or gone
  }
}

/** @param {HTMLElement} button */
export function dismiss(button) {
  const row = button.closest("[data-mf-row]");
  const question = /** @type {HTMLElement | null} */ (button.closest("[data-mf-asking]"));
  if (question) question.hidden = true; // it stays in the page: its request may be under way
  asked.delete(row?.id ?? "");
  row?.removeAttribute("data-mf-new");
  /** @type {HTMLElement | null | undefined} */ (row?.querySelector("[data-mf-action]"))?.focus();
}

export function start() {
  listen("swapped", restore);
}
