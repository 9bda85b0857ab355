/**
 * The preview: a dialog over the list to step through documents. The server renders its content; this opens and closes
 * it, keeps the focus and handles keys.
 */
import { announce, near, on } from "./dom.js";
import { fit } from "./fit.js";
import { htmx } from "./host.js";
import { _ } from "./i18n.js";
import { Layer } from "./layer.js";
import { Dicom } from "./preview-dicom.js";
import * as details from "./preview-details.js";
import * as keys from "./preview-keys.js";
import * as pictures from "./preview-pictures.js";
import * as printing from "./preview-print.js";
import { Stage } from "./preview-stage.js";
import { pageOf } from "./preview-zoom.js";

const doc = document;
const TRIES = 4; // while the server is busy
const SLOW = 150; // milliseconds before a slow load of another document is indicated
/** @type {Stage | null} of the document shown */
let stage = null;
/** @type {Element | null} the element that requested the pending document */
let latest = null;
/** @type {HTMLElement | null} receives the focus when closed */
let opener = null;
/** id of its row, which may have been replaced */
let openerRow = "";
/** the focused control before the document changed */
let key = "";
let tried = 0;
let again = 0;
const layer = new Layer("mfLook", () => {
  const dialog = /** @type {HTMLDialogElement | null} */ (doc.querySelector("dialog.mf-look[open]"));
  if (details.mayClose(dialog)) dialog?.close();
  else layer.enter();
});

/** @param {Element | null} source @returns {HTMLElement | null} body of the dialog it targets */
export function bodyOf(source) {
  const name = source?.getAttribute("data-mf-look");
  if (name) return doc.getElementById(`${name}-body`);
  return name === "" ? /** @type {HTMLElement | null} */ (source?.closest(".mf-look-body") ?? null) : null;
}

/** @param {Element | null | undefined} body */
const dialogOf = (body) => /** @type {HTMLDialogElement | null | undefined} */ (body?.closest("dialog"));

/** @param {Element} source @returns {string} URL of the preview */
const addressOf = (source) => source.getAttribute("hx-get") ?? source.getAttribute("href") ?? "";
/** @param {Element} source @returns {string} the document's name */
const nameOf = (source) =>
  source.getAttribute("data-mf-look-name") ?? (source.textContent ?? "").replace(/\s+/g, " ").trim();

/* Opening, waiting, failing */

/** @param {HTMLElement} source the pressed control; a link without hx-get is requested here @param {Event} event */
function pressed(source, event) {
  const body = bodyOf(source);
  const dialog = dialogOf(body);
  if (!body || !dialog) return;
  latest = source;
  tried = 0;
  clearTimeout(again);
  if (dialog.open) return walkFrom(dialog, source);
  opener = source;
  openerRow = source.closest("[data-mf-row]")?.id ?? "";
  key = "stage";
  body.replaceChildren(frame(dialog, nameOf(source)));
  if (!source.hasAttribute("commandfor") || !("commandForElement" in HTMLButtonElement.prototype)) dialog.showModal();
  layer.enter();
  if (source.hasAttribute("hx-get")) return;
  event.preventDefault();
  htmx().ajax("GET", addressOf(source), { source, target: body, swap: "innerHTML" });
}

/**
 * Prepares for another document. The current content stays until the new content has loaded.
 * @param {HTMLDialogElement} dialog @param {HTMLElement} source
 */
function walkFrom(dialog, source) {
  const active = /** @type {HTMLElement | null} */ (doc.activeElement);
  key = active?.dataset.mfKey ?? source.dataset.mfKey ?? "stage";
  setTimeout(() => dialog.toggleAttribute("data-mf-slow", latest === source), SLOW);
}

/** @param {HTMLDialogElement} dialog @param {string} name @returns {DocumentFragment} the loading state */
function frame(dialog, name) {
  const template = /** @type {HTMLTemplateElement} */ (dialog.querySelector(":scope > template"));
  const whole = /** @type {DocumentFragment} */ (doc.importNode(template.content, true));
  whole.querySelector("[data-mf-name]")?.replaceChildren(name);
  return whole;
}

/** @param {Element} source @returns {boolean} whether its response is no longer awaited */
export const isOld = (source) => source !== latest || !dialogOf(bodyOf(source))?.open;

/**
 * @param {Element} source the element that requested a document that failed to load
 * @param {number} status
 * @param {string} words
 * @param {number} after seconds from Retry-After
 * @param {string} signIn URL
 */
export function failed(source, status, words, after, signIn) {
  const body = bodyOf(source);
  const dialog = dialogOf(body);
  if (!body || !dialog || isOld(source)) return;
  const [url, name] = [addressOf(source), nameOf(source)];
  dialog.removeAttribute("data-mf-slow");
  stop();
  body.replaceChildren(frame(dialog, name));
  const find = (/** @type {string} */ part) => /** @type {HTMLElement} */ (body.querySelector(`[data-mf-${part}]`));
  const retry = find("again");
  const asks = { "hx-get": url, "hx-target": "closest .mf-look-body", "hx-swap": "innerHTML", "data-mf-look": "" };
  Object.entries({ ...asks, "data-mf-look-name": name }).forEach((pair) => retry.setAttribute(...pair));
  htmx().process(retry);
  if (status === 503 && tried++ < TRIES) return waitFor(find("status"), retry, words, after);
  find("wait").hidden = true;
  find("failed").hidden = false;
  find("status").textContent = _("Not shown");
  find("words").textContent = words;
  find("download").setAttribute("href", url.replace(/\/preview.*/, "/download"));
  const link = find("sign-in-again");
  link.setAttribute("href", signIn);
  [link.hidden, retry.hidden] = [status !== 401, status === 401 || status === 404];
  find("download").hidden = status === 401 || status === 404;
  (status === 401 ? link : status === 404 ? find("look-close") : retry).focus();
}

/** @param {HTMLElement} line @param {HTMLElement} retry @param {string} words @param {number} after */
function waitFor(line, retry, words, after) {
  const before = tried;
  line.textContent = _("%(reason)s Retrying…", { reason: words });
  /** @type {HTMLElement | null | undefined} */ (
    line.closest(".mf-look-in")?.querySelector("[data-mf-look-close]")
  )?.focus();
  latest = retry;
  again = setTimeout(() => {
    if (!retry.isConnected) return;
    retry.click();
    tried = before; // because pressed() resets it
  }, Math.min(10, after || 2) * 1000); // prettier-ignore
}

/* Shown */

/** @param {Element} body holds the document, or the previous one if the response was dropped */
export function shown(body) {
  const root = /** @type {HTMLElement | null} */ (
    body.querySelector(".mf-look-in[data-mf-state=shown]:not([data-mf-ready])")
  );
  const dialog = dialogOf(body);
  if (!root || !dialog) return;
  latest = null;
  tried = 0;
  dialog.removeAttribute("data-mf-slow");
  fit();
  htmx().process(root); // htmx 2 would process it later, and until then its links would leave the page
  enhance(root);
  const same = key && root.querySelector(`[data-mf-key="${CSS.escape(key)}"]`);
  const other = { previous: "next", next: "previous" }[key];
  const place =
    same ||
    (other && root.querySelector(`[data-mf-key=${other}]`)) ||
    root.querySelector("[data-mf-key=stage], [data-mf-scroll]") ||
    root.querySelector("[data-mf-look-close]");
  /** @type {HTMLElement} */ (place).focus({ preventScroll: true });
  announce(root.dataset.mfSayShown ?? "", root);
}

function stop() {
  stage?.stop();
  stage = null;
}

/** @param {HTMLElement} root */
function enhance(root) {
  stop();
  root.toggleAttribute("data-mf-ready", true);
  if (root.querySelector("[data-mf-stage]"))
    stage = new Stage(root, (direction) => walk(root, direction < 0 ? "previous" : "next"));
  if (stage && root.dataset.mfKind === "dicom") new Dicom(root, stage);
  root
    .querySelectorAll("[data-mf-sheets] [role=tabpanel]")
    .forEach((sheet, index) => sheet.toggleAttribute("hidden", index > 0));
  const current = /** @type {HTMLElement | null} */ (root.querySelector(".mf-look-film [aria-current]"));
  const film = current?.closest(".mf-look-film");
  if (current) film?.scrollTo({ left: current.offsetLeft - (film.clientWidth - current.offsetWidth) / 2 });
  root
    .querySelector("[data-mf-panel]")
    ?.setAttribute("aria-expanded", String(!!root.querySelector(".mf-look-side")?.checkVisibility()));
  pictures.look(root);
}

/** @param {HTMLElement} root @param {string} where */
function walk(root, where) {
  const film = /** @type {HTMLElement[]} */ ([...root.querySelectorAll(".mf-look-film a")]);
  const link =
    where === "first"
      ? film[0]
      : where === "last"
        ? film.at(-1)
        : /** @type {HTMLElement | null} */ (root.querySelector(`[data-mf-key=${where}]`));
  if (link && !link.hasAttribute("aria-current")) link.click();
  else if (where === "previous" || where === "next")
    announce(where === "next" ? _("This is the last document.") : _("This is the first document."), root);
}

/** @param {Event} event the dialog was closed */
function closed({ target }) {
  const dialog = target instanceof Element && target.matches("dialog.mf-look") ? target : null;
  if (!dialog) return;
  layer.leave();
  stop();
  clearTimeout(again);
  latest = null;
  dialog.querySelector(".mf-look-body")?.replaceChildren();
  dialog.removeAttribute("data-mf-slow");
  if (doc.activeElement && doc.activeElement !== doc.body) return;
  const place = dialog.closest(".mf-body, .mf-manager, .mf-main");
  const row = openerRow ? doc.getElementById(openerRow) : null;
  const beside = row ? row.querySelector("[data-mf-look]") : place?.querySelector("[data-mf-look], h1, h2, a, button");
  const next = /** @type {HTMLElement | null | undefined} */ (opener?.isConnected ? opener : beside);
  next?.focus();
}

/* Clicks and keys */

/** @type {Record<string, (button: HTMLElement) => void>} */
const presses = {
  "[data-mf-look-close]": (button) => details.mayClose(dialogOf(button)) && dialogOf(button)?.close(),
  "[data-mf-edit]": details.edit,
  "button[data-mf-cancel-edit]": details.cancel,
  "[data-mf-go]": (button) => stage?.go(Number(button.dataset.mfGo)),
  "[data-mf-rotate]": () => stage?.rotate(),
  "[data-mf-panel]": details.toggle,
  "[data-mf-zoom]": ({ dataset: { mfZoom } }) =>
    mfZoom === "in" || mfZoom === "out"
      ? stage?.step(mfZoom === "in" ? 1 : -1)
      : stage?.fitTo(/** @type {any} */ (mfZoom)),
  "[data-mf-turn]": (button) => stage?.go(stage.page + Number(button.dataset.mfTurn)),
  "[role=tab]": keys.choose,
};

/** @param {MouseEvent} event */
function clicked(event) {
  const source = near(event, "[data-mf-look]");
  if (source && htmx()) pressed(source, event);
  const dialog = event.target instanceof Element && event.target.matches("dialog.mf-look") ? event.target : null;
  if (dialog && details.mayClose(dialog)) /** @type {HTMLDialogElement} */ (dialog).close();
  if (!near(event, ".mf-look-in")) return;
  for (const [selector, press] of Object.entries(presses)) {
    const found = near(event, selector);
    if (found) press(found);
  }
}

/** @param {MouseEvent} event a link was opened in a new tab with a modifier key, or would discard changes */
function elsewhere(event) {
  const link = near(event, "a[data-mf-look]");
  if (!link) return;
  if (event.ctrlKey || event.metaKey || event.shiftKey) return event.stopImmediatePropagation();
  if (details.mayClose(dialogOf(link))) return;
  event.preventDefault();
  event.stopImmediatePropagation();
}

/** @param {Event} event a page number was entered, or a button beside it pressed */
function submitted(event) {
  const form = near(event, ".mf-look-turn");
  if (!form || !stage) return;
  event.preventDefault();
  event.stopPropagation();
  const field = /** @type {HTMLInputElement} */ (form.querySelector("[data-mf-page-field]"));
  if (!(/** @type {SubmitEvent} */ (event).submitter?.hasAttribute("data-mf-turn")))
    stage.go(pageOf(field.value, stage.pages, stage.page));
}

/** @param {KeyboardEvent} event */
function keyed(event) {
  const root = keys.aimOf(event);
  if (root) keys.press(event, { root, stage, walk: (where) => walk(root, where) });
}

export function start() {
  doc.addEventListener("click", elsewhere, true);
  doc.addEventListener("click", clicked);
  doc.addEventListener("keydown", keyed);
  doc.addEventListener("submit", submitted, true);
  doc.addEventListener("close", closed, true);
  on(
    "change",
    (event) => near(event, "[data-mf-page-field]") && stage?.go(pageOf(event.target.value, stage.pages, stage.page)),
  );
  details.start();
  pictures.start();
  printing.start();
  doc.querySelectorAll(".mf-look-alone .mf-look-in").forEach((alone) => enhance(/** @type {HTMLElement} */ (alone)));
}
