/**
 * What the upload queue reads from a widget, and where it places the server's responses.
 */

import * as asking from "./asking.js";
import { announce } from "./dom.js";
import { fit } from "./fit.js";
import { refresh } from "./fresh.js";
import { htmx } from "./host.js";
import { _ } from "./i18n.js";

/** @typedef {{ accepts: string[], acceptsWords: string, maxSize: number, maxFiles: number, one: string }} Limits */
/**
 * @typedef {object} Widget a record's widget, remembered even while it is not on the page
 * @property {string} id of its element
 * @property {string} url
 * @property {string} upload
 * @property {string} bulk
 * @property {string} record URL of the record
 * @property {string} signIn
 * @property {string} token
 * @property {string} mode
 * @property {number} free remaining capacity of the record
 * @property {number} added since the queue was last empty
 * @property {import("./upload-places.js").Patient | null} patient whose documents can take more; null if it is unknown
 */

/** @type {Map<string, Widget>} */
const widgets = new Map();

/** @type {string[]} */
let speech = [];

/** @param {Widget} widget */
export const managerOf = ({ id }) => document.getElementById(id);
/** @param {Widget} widget */
export const listOf = (widget) => managerOf(widget)?.querySelector("[data-mf-queue]");

/** @param {string} id @returns {Widget} */
function widgetOf(id) {
  const nothing = { url: "", upload: "", bulk: "", record: "", signIn: "/sign-in", token: "", mode: "view" };
  const widget = widgets.get(id) ?? { id, ...nothing, free: Infinity, added: 0, patient: null };
  widgets.set(id, widget);
  return widget;
}

/** @param {HTMLElement} manager @returns {Widget} current state of the widget */
export function learn(manager) {
  const { mfUrl = "", mfCsrf = "", mfMode = "view", mfRecord = "" } = manager.dataset;
  const zone = /** @type {HTMLElement | null} */ (manager.querySelector("[data-mf-zone]"));
  const room = /** @type {HTMLElement | null} */ (manager.querySelector("[data-mf-free]"));
  const widget = Object.assign(widgetOf(manager.id), {
    url: mfUrl.split("?")[0],
    token: mfCsrf,
    mode: mfMode,
    record: mfRecord,
  });
  const { mfUpload, mfBulk = mfUpload?.replace(/\/files(\?.*)?$/, "/bulk"), mfSignIn, mfPatient } = zone?.dataset ?? {};
  if (mfUpload) Object.assign(widget, { upload: mfUpload, bulk: mfBulk });
  if (mfSignIn) widget.signIn = mfSignIn;
  if (mfPatient) widget.patient = JSON.parse(mfPatient);
  if (room) widget.free = Number(room.dataset.mfFree) + manager.querySelectorAll("[data-mf-mark]:checked").length;
  return widget;
}

/** Reads every known widget again. */
export function learnAll() {
  for (const widget of widgets.values()) {
    const manager = managerOf(widget);
    if (manager) learn(manager);
  }
}

/**
 * @param {Widget} widget of the form for a new record
 * @param {string} type
 * @param {string} id
 * @returns {Widget} of the created record
 */
export function becameRecord({ url, token, signIn, free, patient }, type, id) {
  const widget = widgetOf(`mf-manager-${type}-${id}`);
  const own = url.replace(/\/new$/, `/${id}`);
  if (!widget.upload)
    Object.assign(widget, { url: own, upload: `${own}/files`, bulk: `${own}/bulk`, token, signIn, free, patient });
  return widget;
}

/** @param {string} token */
export function setToken(token) {
  widgets.forEach((widget) => (widget.token = token));
  document.querySelectorAll(".mf[data-mf-csrf]").forEach((part) => part.setAttribute("data-mf-csrf", token));
  const fields = document.querySelectorAll(".mf input[name=csrf_token]"); // these take precedence
  fields.forEach((field) => Object.assign(field, { value: token }));
}

/** @param {HTMLElement} zone @returns {Limits} */
export function limitsOf({ dataset }) {
  const {
    mfAccepts = "",
    mfAcceptsWords = "",
    mfMaxSize = "Infinity",
    mfMaxFiles = "Infinity",
    mfOne = _("record"),
  } = dataset;
  return {
    accepts: mfAccepts.split(",").filter(Boolean),
    acceptsWords: mfAcceptsWords,
    maxSize: Number(mfMaxSize),
    maxFiles: Number(mfMaxFiles),
    one: mfOne,
  };
}

/* Responses */

/** @param {string} html @returns {DocumentFragment} */
export function parse(html) {
  const template = document.createElement("template");
  template.innerHTML = html;
  return template.content;
}

const OVERTAKEN = 300; // seconds a response can be late; if it seems later, the server's clock was set back

/** @param {HTMLElement | null} old @param {HTMLElement} fresh ignored if its counts are older */
function replace(old, fresh) {
  const older = Number(old?.dataset.mfAt ?? 0) - Number(fresh.dataset.mfAt ?? 0);
  if (!old || (older > 0 && older < OVERTAKEN)) return;
  const focused = old.contains(document.activeElement) ? document.activeElement?.id : "";
  fresh.removeAttribute("hx-swap-oob");
  old.replaceWith(fresh);
  htmx()?.process(fresh);
  if (focused) document.getElementById(focused)?.focus();
}

/** @param {HTMLElement} row @param {string} managerId */
function placeRow(row, managerId) {
  asking.keep(row);
  const known = document.getElementById(row.id);
  if (known) return replace(known, row);
  const table = /** @type {HTMLTableElement | null | undefined} */ (
    document.getElementById(managerId)?.querySelector(".mf-table")
  );
  const body = document.getElementById(`${managerId}-body`);
  if (table) table.insertBefore(row, table.tBodies[0] ?? null);
  if (table) htmx()?.process(row);
  if (!table || body?.matches(".htmx-request")) refresh(body, row.id); // the pending response may be older
}

/** @param {ParentNode} content @returns {HTMLElement | null} the row of the new document */
const rowIn = (content) => content.querySelector("tbody[data-mf-row]");

/** @param {string} html @returns {string} the ID of the new document, or "" */
export const idIn = (html) => rowIn(parse(html))?.dataset.mfRow ?? "";

/** @param {string} html @param {string} managerId @returns {string} the ID of the new document, or "" */
export function place(html, managerId) {
  const content = parse(html);
  const row = rowIn(content);
  const body = document.getElementById(`${managerId}-body`);
  const isTrash = body?.dataset.mfView === "trash"; // the new row belongs to a list that is not shown
  if (isTrash) refresh(body);
  else if (row) placeRow(row, managerId);
  for (const fresh of isTrash
    ? []
    : /** @type {NodeListOf<HTMLElement>} */ (content.querySelectorAll("[hx-swap-oob], [data-mf-room][id]"))) {
    replace(document.getElementById(fresh.id), fresh);
  }
  fit();
  learnAll();
  return row?.dataset.mfRow ?? "";
}

/** @param {Widget} widget @param {Record<string, unknown>} events events of the response */
export function dispatch(widget, events) {
  for (const [name, detail] of Object.entries(events))
    (managerOf(widget) ?? document).dispatchEvent(new CustomEvent(name, { bubbles: true, detail }));
}

/* Lines beside the rows */

/** @param {Widget} widget @param {string} words "" removes the line */
export function drawSkipped(widget, words) {
  const manager = managerOf(widget);
  manager?.querySelectorAll("[data-mf-skipped]").forEach((line) => line.remove());
  if (!words) return;
  const line = document.createElement("p");
  line.className = "mf-hint";
  line.setAttribute("data-mf-skipped", "");
  line.textContent = words;
  listOf(widget)?.before(line);
  say(widget, words);
}

/**
 * Names the files that were added elsewhere, with a link to them.
 * @param {Widget} widget @param {string} words @param {string} href
 */
export function drawElsewhere(widget, words, href) {
  const manager = managerOf(widget);
  manager?.querySelectorAll("[data-mf-elsewhere]").forEach((line) => line.remove());
  const line = lineWithLink(words, _("Show"), href);
  line.setAttribute("data-mf-elsewhere", "");
  listOf(widget)?.before(line);
}

/** @param {string} words @param {string} label @param {string} href @returns {HTMLElement} */
function lineWithLink(words, label, href) {
  const [line, link] = [document.createElement("p"), document.createElement("a")];
  Object.assign(link, { href, textContent: label });
  line.append(`${words} `, link);
  return line;
}

/** @param {Widget} widget @param {{ action: string, words: string, isShown: boolean }[]} offers for several files */
export function drawTogether(widget, offers) {
  const line = managerOf(widget)?.querySelector("[data-mf-queue-all]");
  for (const { action, words, isShown } of offers) {
    const button = /** @type {HTMLElement | null | undefined} */ (line?.querySelector(`[data-mf-together=${action}]`));
    if (!button) continue;
    const isLeft = !isShown && button === document.activeElement;
    button.hidden = !isShown;
    button.textContent = words;
    if (isLeft) restOf(widget)?.focus();
  }
}

/** @param {Widget} widget @returns {HTMLElement | undefined} where the focus moves when no row is left */
function restOf(widget) {
  const places = ["[data-mf-pick]", "h2[tabindex]"].map((name) => managerOf(widget)?.querySelector(name));
  return /** @type {HTMLElement | undefined} */ (places.find((place) => place?.checkVisibility()));
}

/** @param {string} words @param {Widget[]} waiting */
export function drawSignedOut(words, waiting) {
  document.querySelectorAll("[data-mf-upload-signed-out]").forEach((line) => line.remove());
  for (const widget of waiting) listOf(widget)?.before(signedOutLine(words, widget.signIn));
}

/** @param {string} words @param {string} href @returns {HTMLElement} */
function signedOutLine(words, href) {
  const line = lineWithLink(words, _("Sign in"), href);
  line.className = "mf-problem";
  line.setAttribute("data-mf-upload-signed-out", "");
  Object.assign(line.lastChild ?? {}, { target: "_blank", rel: "noopener" });
  return line;
}

/** @param {[Widget, string][]} lines about files whose record is not on the page */
export function drawBar(lines) {
  const old = document.getElementById("mf-uploads");
  const home = [...document.querySelectorAll("dialog.mf[open]:not(.mf-look)")].at(-1) ?? document.body;
  const words = lines.map(([, text]) => text).join("\n");
  if (old?.parentElement === home && old.dataset.mfWords === words) return;
  old?.remove();
  if (!lines.length) return;
  const bar = document.createElement("div");
  Object.assign(bar, { id: "mf-uploads", className: "mf mf-uploads" });
  Object.assign(bar.dataset, { mfWords: words });
  bar.append(...lines.map(barLine));
  home.append(bar);
  htmx()?.process(bar);
}

/**
 * @param {[Widget, string]} line
 * @returns {HTMLElement} a link that never leaves this page, which would abort the uploads
 */
function barLine([{ record, url }, text]) {
  const line = document.createElement("p");
  const link = document.createElement("a");
  link.textContent = text;
  link.href = record || url;
  if (record && document.getElementById("mf-sheet-body")) {
    for (const [name, value] of [
      ["hx-get", record],
      ["hx-target", "#mf-sheet-body"],
      ["hx-swap", "innerHTML"],
      ["data-mf-leave", ""],
    ])
      link.setAttribute(name, value);
  } else Object.assign(link, { target: "_blank", rel: "noopener" });
  line.append(link);
  return line;
}

/* Announcements */

/** @param {Widget} widget @param {string} text messages within 100 ms are announced together */
export function say(widget, text) {
  speech.push(text);
  if (speech.length > 1) return;
  setTimeout(() => {
    announce(speech.join(" "), managerOf(widget) ?? undefined);
    speech = [];
  }, 100);
}
