/**
 * Behaviour of the document widget and the record sheet on top of what already works without script.
 * Runs beside htmx 2.0.11 and 4.0.1, or brings the vendored one when the page has none; no other dependencies.
 */
import "./answers.js";
import { announce, htmx, near, on } from "./dom.js";
import * as focus from "./focus.js";
import * as fresh from "./fresh.js";
import * as list from "./list.js";
import * as sheet from "./sheet.js";
import * as unsaved from "./unsaved.js";
import * as upload from "./upload.js";

const doc = document;

/** @param {string} style @param {boolean} whole @returns {Intl.DateTimeFormatOptions} */
const format = (style, whole) => ({
  ...(style !== "time" && { day: "numeric", month: "short", year: "numeric" }),
  ...(style !== "day" && { hour: "2-digit", minute: "2-digit" }),
  ...(whole && { timeZone: "UTC" }),
});

/** What stands in the page is brought to this reader: their zone, and their tab in a row too long for a phone. */
function fit() {
  const tab = /** @type {HTMLElement | null} */ (doc.querySelector(".mf-tabs [aria-current]"));
  tab?.closest(".mf-tabs")?.scrollTo({ left: tab.offsetLeft - 24 });
  for (const time of /** @type {NodeListOf<HTMLTimeElement>} */ (doc.querySelectorAll("time[data-mf-when]"))) {
    const date = new Date(time.dateTime);
    const moved = date.getDate() !== date.getUTCDate();
    const style = time.dataset.mfWhen === "time" && moved ? "moment" : String(time.dataset.mfWhen);
    time.removeAttribute("data-mf-when");
    if (!isNaN(date.valueOf())) time.textContent = new Intl.DateTimeFormat(undefined, format(style, time.dateTime.length === 10)).format(date);
  }
}

/* Presses */

/** @type {Record<string, (button: HTMLElement) => void>} */
const presses = {
  "[data-mf-close]": sheet.closeSheet,
  "[data-mf-reload]": () => location.reload(),
  "[data-mf-open]": sheet.openedBy,
  "[data-mf-action], .mf-bulk button": focus.remember,
};

doc.addEventListener("click", (event) => {
  doc.querySelectorAll("details.mf-menu[open]").forEach((menu) => menu.contains(/** @type {Node} */ (event.target)) || menu.removeAttribute("open"));
  for (const [selector, press] of Object.entries(presses)) {
    const found = near(event, selector);
    if (found) press(found);
  }
});
doc.addEventListener("keydown", (event) => {
  const leave = event.key === "Escape" && near(event, ".mf-edit")?.querySelector("[data-mf-cancel-edit]");
  if (leave) {
    event.preventDefault(); // the sheet stays
    return /** @type {HTMLElement} */ (leave).click();
  }
  const menu = event.key === "Escape" && doc.querySelector("details.mf-menu[open]");
  if (!menu) return;
  menu.removeAttribute("open");
  /** @type {HTMLElement | null} */ (menu.querySelector("summary"))?.focus();
});
doc.addEventListener("submit", (event) => {
  const button = near(event, ".mf-edit")?.querySelector("[data-mf-action]");
  if (button) focus.remember(/** @type {HTMLElement} */ (button));
});

/** @param {Element} part what was just put in */
function say(part) {
  const said = [...part.querySelectorAll("[data-mf-say]")].map((one) => /** @type {HTMLElement} */ (one.querySelector("p, ul, span")?.parentElement ?? one).innerText);
  if (said.length) announce(said.join(" "), part);
}

on("htmx:afterSwap htmx:after:swap", (event) => {
  const { detail } = event;
  const aim = detail.ctx?.target ?? detail.target;
  const target = typeof aim === "string" ? doc.querySelector(aim) : aim; // a selector, when the answer named it
  fit();
  list.refreshed();
  if (sheet.isSheet(target)) return sheet.showSheet();
  const part = target?.id ? doc.getElementById(target.id) : null;
  const record = target?.matches?.("article.mf-record") && doc.querySelector(".mf-main article.mf-record");
  if (record) return sheet.showPage(record);
  if (part?.closest(".mf")) say(part);
  focus.goOn(target);
});

if (!("commandForElement" in HTMLButtonElement.prototype)) {
  doc.addEventListener("click", (event) => {
    const button = near(event, "button[commandfor]");
    const dialog = /** @type {HTMLDialogElement | null} */ (doc.getElementById(button?.getAttribute("commandfor") ?? ""));
    if (button?.getAttribute("command") === "show-modal") dialog?.showModal();
    else if (button) dialog?.close();
  });
}

/** A page without htmx gets the vendored one; scripts that a page defers have all run by now. */
function bring() {
  if (htmx()) return;
  const [config, script] = [doc.createElement("meta"), doc.createElement("script")];
  Object.assign(config, { name: "htmx-config", content: '{"history": false, "defaultTimeout": 0, "includeIndicatorCSS": false}' });
  if (!doc.querySelector("meta[name=htmx-config]")) doc.head.append(config);
  script.src = new URL("vendor/htmx.min.js", import.meta.url).href;
  doc.head.append(script);
}

doc.documentElement.classList.add("mf-js");
upload.start();
unsaved.start();
fresh.start();
list.start();
fit();
doc.readyState === "complete" ? bring() : addEventListener("load", bring);
