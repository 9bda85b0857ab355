/**
 * The details beside the previewed document, and the form that changes them in place.
 */
import { near } from "./dom.js";
import { htmx, listen } from "./host.js";
import { forget, isWritten, mayLose } from "./unsaved.js";

const doc = document;
/** the field whose value was pressed last; gets the focus back */
let field = "";
/** id of the row behind the dialog that is being replaced */
let stale = "";

/** @param {Element} place @returns {{ facts: HTMLElement, form: HTMLFormElement } | null} */
function partsOf(place) {
  const details = place.closest(".mf-look-details");
  const facts = /** @type {HTMLElement | null | undefined} */ (details?.querySelector(".mf-look-facts"));
  const form = /** @type {HTMLFormElement | null | undefined} */ (details?.querySelector(".mf-look-edit"));
  return facts && form ? { facts, form } : null;
}

/** @param {HTMLElement} button a value was pressed */
export function edit(button) {
  const parts = partsOf(button);
  if (!parts) return;
  field = button.dataset.mfEdit ?? "";
  [parts.facts.hidden, parts.form.hidden] = [true, false];
  /** @type {HTMLElement | null} */ (parts.form.querySelector(`[name="${CSS.escape(field)}"]`))?.focus();
}

/** @param {HTMLElement} button that leaves the form without saving */
export function cancel(button) {
  const parts = partsOf(button);
  if (!parts) return;
  const { form, facts } = parts;
  form.reset();
  forget(form);
  [facts.hidden, form.hidden] = [false, true];
  focusValue(facts);
}

/** @param {Element} place */
function focusValue(place) {
  const values = /** @type {HTMLElement[]} */ ([...place.querySelectorAll("[data-mf-edit]")]);
  (values.find((one) => one.dataset.mfEdit === field) ?? values[0])?.focus();
}

/** @param {Element | null | undefined} place @returns {boolean} false if the user keeps on editing there */
export function mayClose(place) {
  const form = place?.querySelector(".mf-look-edit:not([hidden])");
  if (!form || !isWritten(form.parentElement ?? form)) return true;
  if (!mayLose()) return false;
  forget(form);
  return true;
}

/** @param {Element} details as just saved: shows the new name and description in the row behind the dialog, too */
function refreshRow(details) {
  const body = details.closest("[data-mf-body]");
  const id = details.closest(".mf-look-in")?.getAttribute("data-mf-file");
  const row = body?.querySelector(`[data-mf-row="${id}"]`);
  const address = body?.getAttribute("hx-get");
  if (!row || !address) return;
  const url = `${address}${address.includes("?") ? "&" : "?"}row=${id}`;
  stale = row.id;
  htmx().ajax("GET", url, { source: row, target: row, swap: "outerHTML" });
}

/** Gives the focus back to the row's link if the dialog was closed before the row was replaced. */
function goOn() {
  const link = /** @type {HTMLElement | null | undefined} */ (
    doc.getElementById(stale)?.querySelector(".mf-look-link")
  );
  stale = "";
  if (!doc.activeElement || doc.activeElement === doc.body) link?.focus();
}

export function start() {
  listen("swapped", ({ target, status }) => {
    const id = target?.id;
    if (id && id === stale) return goOn();
    const details = id === "mf-look-details" ? doc.getElementById(id) : null;
    if (!details || status >= 400) return;
    focusValue(details);
    refreshRow(details);
  });
  doc.addEventListener(
    "cancel",
    (event) => {
      if (near(event, "dialog.mf-look") && !mayClose(near(event, "dialog.mf-look"))) event.preventDefault();
    },
    true,
  );
}

/** @param {HTMLElement} button shows the details where there is no room for them, and hides them where there is */
export function toggle(button) {
  const root = button.closest(".mf-look-in");
  const panel = root?.querySelector(".mf-look-side");
  const shows = !panel?.checkVisibility();
  root?.setAttribute("data-mf-panel-is", shows ? "open" : "closed");
  button.setAttribute("aria-expanded", String(shows));
}
