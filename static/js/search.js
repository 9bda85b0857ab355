/**
 * The search field of every page: its key, and moving through the results under it. Marks on cut pictures of pages.
 */
import { near } from "./dom.js";
import { listen } from "./host.js";

const doc = document;
const TYPED_IN = "input, textarea, select, [contenteditable]";
const RINGS = "svg[data-mf-rings]";
let isReady = false; // htmx

/** @returns {HTMLInputElement | null} */
const field = () => /** @type {HTMLInputElement | null} */ (doc.getElementById("mf-find"));

/** @returns {HTMLElement[]} */
const found = () => [...(doc.getElementById("mf-found")?.querySelectorAll("a") ?? [])];

/** @param {KeyboardEvent} event "/" goes to the field, unless something else is being typed */
function keyed(event) {
  const isTyping = near(event, TYPED_IN) || doc.querySelector("dialog[open]");
  if (event.key === "/" && !isTyping && !event.ctrlKey && !event.metaKey && !event.altKey && field()) {
    event.preventDefault();
    field()?.focus();
    field()?.select();
    return;
  }
  if (!near(event, "[data-mf-find]")) return;
  if (event.key === "Escape") {
    doc.getElementById("mf-found")?.replaceChildren();
    field()?.focus();
  }
  const places = [field(), ...found()];
  const at = places.indexOf(/** @type {HTMLInputElement} */ (doc.activeElement));
  const next = { ArrowDown: at + 1, ArrowUp: at - 1 }[event.key];
  if (next === undefined || places.length < 2) return;
  event.preventDefault();
  places.at(next % places.length)?.focus();
}

/** @param {Event} event results of a field that was emptied are no longer of use */
function typed(event) {
  if (event.target === field() && !field()?.value.trim()) doc.getElementById("mf-found")?.replaceChildren();
}

/** Searches for what was typed into any search field before htmx was ready. */
function catchUp() {
  if (isReady) return;
  isReady = true;
  for (const one of /** @type {NodeListOf<HTMLInputElement>} */ (doc.querySelectorAll("input[type=search]")))
    if (one.value !== one.defaultValue) one.dispatchEvent(new Event("input", { bubbles: true }));
}

/**
 * Fits marks to their picture, which fills its frame and is cut at the lower edge.
 * @param {Event} event a picture has loaded
 */
function drawn({ target }) {
  if (!(target instanceof HTMLImageElement)) return;
  const rings = target.parentElement?.querySelector(`:scope > ${RINGS}`);
  if (!rings || !target.naturalWidth) return;
  const size = `${target.naturalWidth} ${target.naturalHeight}`;
  rings.setAttribute("viewBox", `0 0 ${size}`);
  rings.querySelector("g")?.setAttribute("transform", `scale(${size})`);
  rings.removeAttribute("data-mf-rings");
}

export function start() {
  doc.addEventListener("keydown", keyed);
  doc.addEventListener("input", typed);
  doc.addEventListener("load", drawn, true);
  listen("ready", catchUp);
  for (const rings of doc.querySelectorAll(RINGS)) {
    const picture = rings.parentElement?.querySelector("img");
    if (picture?.complete) drawn(/** @type {any} */ ({ target: picture }));
  }
}
