/**
 * Menus that open from a summary: one at a time, with the keys of a menu.
 */
import { near } from "./dom.js";

const doc = document;
const MENU = "details.mf-menu";
const HEAD = ".mf-record-head";
const FLOATING = ".mf-row-menu, .mf-add-menu"; // those that the browser opens and closes

/** @returns {HTMLDetailsElement[]} */
const opened = () => [...doc.querySelectorAll(`${MENU}[open]`)].map((menu) => /** @type {HTMLDetailsElement} */ (menu));

/** @param {Element} menu @returns {HTMLElement | null} the control that opens it */
export const openerOf = (menu) => menu.querySelector("summary");

/**
 * Moves the focus in a menu with the arrow keys, Home and End.
 * @param {KeyboardEvent} event @param {Element | null | undefined} menu
 * @returns {boolean} whether the key did that
 */
export function step(event, menu) {
  const found = menu?.querySelectorAll("a, button") ?? [];
  const items = [...found].map((one) => /** @type {HTMLElement} */ (one)).filter((one) => one.checkVisibility());
  const at = items.indexOf(/** @type {HTMLElement} */ (doc.activeElement));
  const next = { ArrowDown: at + 1, ArrowUp: at < 0 ? -1 : at - 1, Home: 0, End: items.length - 1 }[event.key];
  if (next === undefined || !items.length) return false;
  event.preventDefault();
  items.at(next % items.length)?.focus();
  return true;
}

/**
 * Keeps what an open menu of a head covers from being pressed or read: the next press only closes the menu.
 * @param {Element | null | undefined} head
 */
function cover(head, covered = !!head?.querySelector(`${MENU}[open]`)) {
  for (let part = head?.nextElementSibling; part; part = part.nextElementSibling)
    part.toggleAttribute("inert", covered);
}

/** @param {Event} event a menu was opened or closed */
function toggled({ target }) {
  if (target instanceof HTMLDetailsElement && target.matches(MENU)) cover(target.closest(HEAD));
}

/** @param {MouseEvent} event a press outside closes a menu */
function clicked(event) {
  for (const menu of opened()) menu.contains(/** @type {Node} */ (event.target)) || (menu.open = false);
}

/** @param {FocusEvent} event a menu closes when the focus leaves it */
function left({ relatedTarget }) {
  for (const menu of opened()) {
    if (relatedTarget instanceof Node && !menu.contains(relatedTarget)) menu.open = false;
  }
}

/** @param {KeyboardEvent} event */
function keyed(event) {
  if (step(event, near(event, FLOATING))) return;
  if (event.key === "Tab") return cover(near(event, MENU)?.closest(HEAD), false); // the focus may move on
  const menu = /** @type {HTMLDetailsElement | null} */ (near(event, MENU));
  if (event.key === "Escape") return escaped(event, menu ?? opened()[0]);
  const onSummary = near(event, "summary") && ["ArrowDown", "ArrowUp"].includes(event.key);
  if (!menu || event.defaultPrevented || !(menu.open || onSummary)) return;
  menu.open = true;
  step(event, menu);
}

/** @param {KeyboardEvent} event @param {HTMLDetailsElement | undefined} menu */
function escaped(event, menu) {
  if (!menu?.open || event.defaultPrevented) return;
  event.preventDefault(); // keep the sheet around it open
  menu.open = false;
  openerOf(menu)?.focus();
}

export function start() {
  doc.addEventListener("click", clicked);
  doc.addEventListener("toggle", toggled, true);
  doc.addEventListener("focusout", left);
  doc.addEventListener("keydown", keyed);
}
