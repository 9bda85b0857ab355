/**
 * Where focus moves when a swap has replaced the pressed control.
 */
import { acting } from "./fresh.js";

/**
 * The widget control that was pressed last.
 * @type {{ prefix: string, action: string, file: string, index: number } | null}
 */
let pressed = null;

/** @param {HTMLElement} button */
export function remember(button) {
  const place = /** @type {HTMLElement | null} */ (button.closest(".mf-manager") ?? button.closest(".mf-body"));
  const row = /** @type {HTMLElement | null} */ (button.closest("[data-mf-row]"));
  if (!place) return;
  const prefix = place.id.replace(/-body$/, "");
  const index = [...place.querySelectorAll("[data-mf-row]")].indexOf(/** @type {HTMLElement} */ (row));
  pressed = {
    prefix,
    action: button.dataset.mfAction ?? "bulk",
    file: row?.dataset.mfRow ?? button.dataset.mfFile ?? "",
    index,
  };
  acting(prefix);
}

export function forget() {
  pressed = null;
}

/** @param {Element | null | undefined} target of a response; badge updates in between are ignored */
export function goOn(target) {
  if (!pressed || !target?.id?.startsWith(pressed.prefix)) return;
  const place = document.getElementById(pressed.prefix) ?? document.getElementById(`${pressed.prefix}-body`);
  // not while the user is typing or choosing there
  const busy = document.activeElement?.closest("[data-mf-queue], .mf-row-menu:popover-open");
  if (place && !busy) placeFocus(place, pressed);
  pressed = null;
}

/** @param {Element} place @param {NonNullable<typeof pressed>} last */
function placeFocus(place, last) {
  const rows = [...place.querySelectorAll("[data-mf-row]")];
  const same = rows.find((row) => row.getAttribute("data-mf-row") === last.file);
  const row = same ?? (last.index < 0 ? undefined : (rows[last.index] ?? rows[last.index - 1]));
  const wishes = [
    same?.querySelector("[data-mf-focus]"),
    last.action === "bulk" && place.querySelector(".mf-body > .mf-notice [data-mf-action=undo]"),
    row?.querySelector(`[data-mf-action="${last.action}"]`),
    row?.querySelector("[data-mf-action]"),
    ...place.querySelectorAll(`:is(.mf-manager-head, .mf-list-tools) [data-mf-action="${last.action}"]`),
    last.action.startsWith("sort") && place.querySelector("[data-mf-action=sort]"),
    place.querySelector("[data-mf-pick]"),
    place.querySelector("h2"),
    place.querySelector("[data-mf-select]"),
  ];
  const next = /** @type {HTMLElement[]} */ (wishes.filter(Boolean)).find((one) => one.checkVisibility());
  next?.focus();
}
