/**
 * Shared helpers for the page.
 */

/** @param {Event} event @param {string} selector @returns {any} the closest match around the event's target */
export const near = ({ target }, selector) => (target instanceof Element ? target.closest(selector) : null);

/** @param {string} names @param {(event: any) => void} listener @param {EventTarget} [target] */
export const on = (names, listener, target = document) =>
  names.split(" ").forEach((name) => target.addEventListener(name, listener));

/** @param {string} text @param {Element | null} [beside] an element in a widget or preview with its own live region */
export function announce(text, beside) {
  const look = beside?.closest(".mf-look, .mf-look-alone")?.querySelector("[data-mf-look-live]");
  const own = look ?? beside?.closest(".mf-manager")?.querySelector("[data-mf-live]");
  const live =
    own ??
    [...document.querySelectorAll("[data-mf-live]")].find(
      (one) => !!one.closest("dialog") === !!document.querySelector("#mf-sheet[open]"),
    );
  if (live) live.textContent = text.replace(/\s+/g, " ").trim();
}
