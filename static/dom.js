/**
 * The page: what every other script asks it for.
 */

/** @returns {any} htmx, once it is there */
export const htmx = () => /** @type {any} */ (globalThis).htmx;

/** @param {Event} event @param {string} selector @returns {any} the element around where it happened */
export const near = ({ target }, selector) => (target instanceof Element ? target.closest(selector) : null);

/** @param {string} names @param {(event: any) => void} listener @param {EventTarget} [target] */
export const on = (names, listener, target = document) => names.split(" ").forEach((name) => target.addEventListener(name, listener));

/** @param {string} text @param {Element | null} [beside] something in a widget or a preview with a live region of its own */
export function announce(text, beside) {
  const look = beside?.closest(".mf-look, .mf-look-alone")?.querySelector("[data-mf-look-live]");
  const own = look ?? beside?.closest(".mf-manager")?.querySelector("[data-mf-live]");
  const live = own ?? [...document.querySelectorAll("[data-mf-live]")].find((one) => !!one.closest("dialog") === !!document.querySelector("#mf-sheet[open]"));
  if (live) live.textContent = text.replace(/\s+/g, " ").trim();
}
