/**
 * The list of documents: selection, and search with an updated URL.
 */
import * as asking from "./asking.js";
import { announce, near } from "./dom.js";
import { refresh } from "./fresh.js";
import { listen } from "./host.js";
import { _, ngettext } from "./i18n.js";
import { isWritten } from "./unsaved.js";
import { pending } from "./upload.js";

const doc = document;
/** @type {HTMLInputElement | null} the last box ticked, where a range starts */
let anchor = null;
/** @type {Set<string>} ids of the lists in which documents are being selected */
const selecting = new Set();

/* Selection */

/** @param {Element} results @returns {HTMLInputElement[]} */
const ticks = (results) =>
  [...results.querySelectorAll("input[name=file_ids]")].map((one) => /** @type {HTMLInputElement} */ (one));
/** @param {number} count */
function chosenWords(count) {
  const num = count.toLocaleString();
  return {
    documents: ngettext("%(num)s document", "%(num)s documents", count, { num }),
    selected: ngettext("%(num)s selected", "%(num)s selected", count, { num }),
    aloud: ngettext("%(num)s document selected.", "%(num)s documents selected.", count, { num }),
  };
}

/** @param {number} count */
function everyWords(count) {
  const num = count.toLocaleString();
  return {
    documents: ngettext("All %(num)s document", "All %(num)s documents", count, { num }),
    selected: ngettext("All %(num)s selected", "All %(num)s selected", count, { num }),
    aloud: ngettext("All %(num)s document selected.", "All %(num)s documents selected.", count, { num }),
  };
}

/** @param {Element} results @param {boolean} [aloud] */
function count(results, aloud = false) {
  const boxes = ticks(results);
  const chosen = boxes.filter((box) => box.checked).length;
  const every = /** @type {HTMLInputElement | null} */ (results.querySelector("[data-mf-tick-all]"));
  const all = /** @type {HTMLInputElement | null} */ (results.querySelector("[data-mf-all]"));
  const more = /** @type {HTMLElement | null} */ (results.querySelector("[data-mf-choose-all]"));
  const whole = chosen > 0 && chosen === boxes.length;
  if (all && !whole) all.value = "";
  results.toggleAttribute("data-mf-some", chosen > 0);
  if (every) Object.assign(every, { checked: whole, indeterminate: chosen > 0 && !whole });
  if (more) more.hidden = !whole || !!all?.value || !results.querySelector(".mf-next-rows");
  const words = all?.value ? everyWords(Number(more?.dataset.mfChooseAll)) : chosenWords(chosen);
  results
    .querySelectorAll("[data-mf-chosen]")
    .forEach((one) => (one.textContent = one.closest(".mf-ask") ? words.documents : words.selected));
  if (aloud) announce(words.aloud, results);
}

/** @param {Element} results @param {boolean} checked */
function tickEvery(results, checked) {
  ticks(results).forEach((box) => (box.checked = checked));
  count(results, true);
}

/**
 * Selects a range if Shift is held.
 * @param {MouseEvent} event
 */
function tickRange(event) {
  const box = /** @type {HTMLInputElement | null} */ (near(event, "input[name=file_ids]"));
  const results = box?.closest(".mf-results");
  if (!box || !results) return;
  const boxes = ticks(results);
  const [from, to] = [boxes.indexOf(/** @type {HTMLInputElement} */ (anchor)), boxes.indexOf(box)].sort(
    (a, b) => a - b,
  );
  if (event.shiftKey && from !== undefined && from >= 0)
    boxes.slice(from, (to ?? 0) + 1).forEach((one) => (one.checked = box.checked));
  anchor = box;
}

/** @param {Event} event */
function changed(event) {
  const results = near(event, ".mf-results");
  if (near(event, "[data-mf-tick-all]")) tickEvery(results, /** @type {HTMLInputElement} */ (event.target).checked);
  else if (near(event, "input[name=file_ids]")) count(results, true);
  else if (near(event, "[data-mf-mark]")) announce(countMarks(near(event, ".mf-body")), near(event, ".mf-body"));
}

/** @param {Element} body of a record's form @returns {string} message about the marked documents */
function countMarks(body) {
  const marked = body.querySelectorAll("[data-mf-mark]:checked").length;
  const line = /** @type {HTMLElement} */ (body.querySelector("[data-mf-marked]"));
  line.dataset.mfNone ??= line.textContent ?? "";
  const num = marked.toLocaleString();
  const words = ngettext(
    "%(num)s document will move to trash when you save.",
    "%(num)s documents will move to trash when you save.",
    marked,
    { num },
  );
  return (line.textContent = marked ? words : line.dataset.mfNone);
}

/** @param {Element} results shows the boxes, or hides them and clears the selection */
function select(results) {
  const on = selecting.has(results.id);
  results.toggleAttribute("data-mf-selecting", on);
  results.querySelector("[data-mf-select]")?.setAttribute("aria-pressed", String(on));
}

/** @type {Record<string, (button: HTMLElement) => void>} */
const presses = {
  "[data-mf-select]": (button) => {
    const results = /** @type {Element} */ (button.closest(".mf-results"));
    if (!selecting.delete(results.id)) selecting.add(results.id);
    select(results);
    if (!selecting.has(results.id) && results.hasAttribute("data-mf-some")) tickEvery(results, false);
  },
  "[data-mf-choose-all]": (button) => {
    const results = /** @type {Element} */ (button.closest(".mf-results"));
    /** @type {HTMLInputElement} */ (results.querySelector("[data-mf-all]")).value = "1";
    count(results, true);
    /** @type {HTMLElement | null} */ (results.querySelector("[data-mf-choose-none]"))?.focus();
  },
  "[data-mf-choose-none]": (button) => {
    const results = /** @type {Element} */ (button.closest(".mf-results"));
    const place = selecting.has(results.id) ? "[data-mf-tick-all]" : "[data-mf-select]";
    /** @type {HTMLElement | null} */ (results.querySelector(place))?.focus();
    tickEvery(results, false);
  },
  "[data-mf-clear]": (link) => {
    const filter = /** @type {HTMLFormElement | null | undefined} */ (
      link.closest(".mf-body")?.querySelector("[data-mf-filter]")
    );
    filter?.querySelectorAll("input:not([type=hidden]), select").forEach((one) => Object.assign(one, { value: "" }));
    filter?.querySelector("input")?.focus();
    filter?.requestSubmit();
  },
  "[data-mf-keep-both]": (button) => {
    const row = button.closest("[data-mf-row]");
    button.closest(".mf-twin")?.remove();
    /** @type {HTMLElement | null | undefined} */ (row?.querySelector("[data-mf-action]"))?.focus();
  },
  "[data-mf-asked]": (button) => asking.dismiss(button),
  "[data-mf-show-changes]": (button) => refresh(/** @type {HTMLElement} */ (button.closest(".mf-body"))),
};

/** @param {MouseEvent} event */
function clicked(event) {
  tickRange(event);
  for (const [selector, press] of Object.entries(presses)) {
    const found = near(event, selector);
    if (!found) continue;
    if (found instanceof HTMLAnchorElement) event.preventDefault();
    press(found);
  }
}

/**
 * Lets ZIP downloads, print pages and the pages that move or share documents bypass htmx.
 * @param {SubmitEvent} event
 */
function submitted(event) {
  const form = /** @type {HTMLFormElement | null} */ (near(event, "[data-mf-bulk-bar]"));
  const button = /** @type {HTMLButtonElement | null} */ (event.submitter);
  if (!form || !["download", "print", "move", "share"].includes(button?.value ?? "")) return;
  const prints = button?.value === "print";
  event.stopPropagation();
  const token = form.closest("[data-mf-csrf]")?.getAttribute("data-mf-csrf");
  const field = /** @type {HTMLInputElement | null} */ (form.querySelector("[name=csrf_token]"));
  if (field && token) field.value = token;
  if (["move", "share"].includes(button?.value ?? "")) return void (form.target = "");
  form.target = prints || pending() || isWritten(doc) ? "_blank" : ""; // in this tab it would interrupt the uploads
  announce(prints ? _("Opening the print view in a new tab.") : _("Download started."), form);
}

/* The URL follows the search on our own pages */

/** @param {Element} results */
function follow(results) {
  const manager = /** @type {HTMLElement | null} */ (results.closest(".mf-manager"));
  const { mfUrl, mfRecord } = manager?.dataset ?? {};
  const query = /** @type {HTMLElement} */ (results).dataset.mfQuery;
  if (results.closest("[data-mf-view=trash]") || ![mfUrl, mfRecord].includes(location.pathname)) return;
  const url = location.pathname + (query ? `?${query}` : "");
  if (url !== location.pathname + location.search) history.replaceState(history.state, "", url);
}

const MANY = 100;

/**
 * Empties the table before a swap, because re-associating many rows with their form takes seconds.
 * @param {import("./host.js").Exchange} exchange
 */
function makeWay({ isDropped, target }) {
  /** @type {HTMLTableElement | null | undefined} */
  const table = target?.matches?.(".mf-results, .mf-body") && target.querySelector(".mf-table");
  if (isDropped || !table || table.rows.length < MANY) return;
  const parts = table.contains(doc.activeElement) ? [...table.tBodies] : [table];
  parts.forEach((part) => part.contains(doc.activeElement) || part.remove());
}

/** Must be called after any swap. */
export function refreshed() {
  doc.querySelectorAll(".mf-body:has([data-mf-marked])").forEach(countMarks);
  const zone = Intl.DateTimeFormat().resolvedOptions().timeZone;
  if (zone) doc.querySelectorAll("[data-mf-zone-name]").forEach((one) => Object.assign(one, { value: zone }));
  for (const results of doc.querySelectorAll(".mf-results")) {
    const all = /** @type {HTMLInputElement | null} */ (results.querySelector("[data-mf-all]"));
    const query = new URLSearchParams(/** @type {HTMLElement} */ (results).dataset.mfQuery);
    results
      .closest(".mf-body")
      ?.querySelectorAll("[data-mf-keep]")
      .forEach((one) => Object.assign(one, { value: query.get(/** @type {HTMLInputElement} */ (one).name) ?? "" }));
    select(results);
    if (all?.value) ticks(results).forEach((box) => (box.checked = true));
    count(results);
    follow(results);
  }
}

export function start() {
  doc.addEventListener("click", clicked);
  doc.addEventListener("change", changed);
  doc.addEventListener("submit", submitted, true);
  asking.start();
  listen("swap", makeWay); // added after answers.js, which may drop the response
  refreshed();
}
