/**
 * The search field of every page and its key, and the field that finds a person: moving through the results under
 * them. Marks on cut pictures of pages, and close-ups.
 */
import { near } from "./dom.js";
import { listen } from "./host.js";

const doc = document;
const TYPED_IN = "input, textarea, select, [contenteditable]";
const RINGS = "svg[data-mf-rings]";
let isReady = false; // htmx

/** @returns {HTMLInputElement | null} */
const field = () => /** @type {HTMLInputElement | null} */ (doc.getElementById("mf-find"));

/** @param {Element} form @returns {Element | null} the results under its field */
const under = (form) => form.querySelector(".mf-found");

/** @param {KeyboardEvent} event "/" goes to the field, unless something else is being typed */
function keyed(event) {
  const isTyping = near(event, TYPED_IN) || doc.querySelector("dialog[open]");
  if (event.key === "/" && !isTyping && !event.ctrlKey && !event.metaKey && !event.altKey && field()) {
    event.preventDefault();
    field()?.focus();
    field()?.select();
    return;
  }
  const form = near(event, "[data-mf-find]");
  if (!form) return;
  const input = form.querySelector("input");
  if (event.key === "Escape" && under(form)?.firstChild) {
    under(form)?.replaceChildren();
    input?.focus();
    event.stopPropagation(); // the menu around it stays open
  }
  const places = [input, ...(under(form)?.querySelectorAll("a") ?? [])];
  const at = places.indexOf(/** @type {HTMLInputElement} */ (doc.activeElement));
  const next = { ArrowDown: at + 1, ArrowUp: at - 1 }[event.key];
  if (next === undefined || places.length < 2) return;
  event.preventDefault();
  places.at(next % places.length)?.focus();
}

/** @param {Event} event results of a field that was emptied are no longer of use */
function typed(event) {
  const form = near(event, "[data-mf-find]");
  if (form && !form.querySelector("input")?.value.trim()) under(form)?.replaceChildren();
}

/**
 * Shows a page in its true proportions in a close-up.
 * @param {HTMLImageElement} picture @param {SVGSVGElement} lens
 */
function focus(picture, lens) {
  const height = (1000 * picture.naturalHeight) / picture.naturalWidth;
  const [x, y] = (lens.dataset.mfLens ?? "").split(" ").map(Number);
  const { width: across, height: down } = lens.viewBox.baseVal;
  /** @param {number} middle @param {number} size @param {number} part */
  const corner = (middle, size, part) => Math.max(0, Math.min(middle * size - part / 2, size - part));
  lens.setAttribute("viewBox", `${corner(x, 1000, across)} ${corner(y, height, down)} ${across} ${down}`);
  lens.querySelector("foreignObject")?.setAttribute("height", `${height}`);
  lens.querySelector("g")?.setAttribute("transform", `scale(1000 ${height})`);
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
  if (!(target instanceof HTMLImageElement) || !target.naturalWidth) return;
  const lens = /** @type {SVGSVGElement | null} */ (target.closest("[data-mf-lens]"));
  if (lens) focus(target, lens);
  const rings = target.parentElement?.querySelector(`:scope > ${RINGS}`);
  if (!rings) return;
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
  for (const picture of doc.querySelectorAll("[data-mf-lens] img")) drawn(/** @type {any} */ ({ target: picture }));
}
