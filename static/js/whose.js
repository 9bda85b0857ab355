/**
 * Asks whose the files are that are added on the home page. The person used last is preselected.
 */
import { ngettext } from "./i18n.js";
import { inboxOf } from "./upload-places.js";

/** @typedef {import("./upload-places.js").Place} Place */

/**
 * @param {Element} zone @param {number} count of files
 * @returns {Promise<Place | null | undefined>} the inbox of the chosen person, null if none was chosen; undefined if
 *   there is nothing to choose
 */
export async function whose(zone, count) {
  const dialog = /** @type {HTMLDialogElement | null} */ (document.querySelector("[data-mf-whose]"));
  if (!dialog || !count || !zone.closest("[data-mf-home-add]")) return undefined;
  if (dialog.open) return null;
  dialog.querySelector("h2")?.replaceChildren(ngettext("Whose is this file?", "Whose are these %(num)s files?", count));
  dialog.returnValue = "";
  dialog.showModal();
  await new Promise((resolve) => dialog.addEventListener("close", resolve, { once: true }));
  const chosen = /** @type {HTMLElement | null} */ (dialog.querySelector("input:checked"));
  return dialog.returnValue && chosen ? inboxOf(JSON.parse(chosen.dataset.mfWhosePatient ?? "")) : null;
}
