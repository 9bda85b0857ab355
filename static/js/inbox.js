/**
 * The inbox: counts what is selected, asks for suggestions again when a person or record is chosen, and keys.
 */
import { near, on } from "./dom.js";
import { ngettext } from "./i18n.js";

/** @param {Event} event */
function changed(event) {
  const field = near(event, "[data-mf-inbox] [data-mf-update], [data-mf-submit]");
  const form = /** @type {HTMLFormElement | null | undefined} */ (field?.closest("form"));
  if (field && form)
    form.requestSubmit(/** @type {HTMLElement | null} */ (form.querySelector("button[value=update]")) ?? undefined);
  else if (near(event, "[data-mf-pick-file]")) count();
}

const boxes = () => /** @type {HTMLInputElement[]} */ ([...document.querySelectorAll("[data-mf-pick-file]")]);

function count() {
  const picked = boxes().filter((box) => box.checked).length;
  const words = {
    "[data-mf-picked]": ngettext("%(num)s selected", "%(num)s selected", picked),
    "[data-mf-file-words]": ngettext("File %(num)s as suggested", "File %(num)s as suggested", picked),
  };
  for (const [place, text] of Object.entries(words)) {
    const element = document.querySelector(place);
    if (element) element.textContent = text;
  }
}

/** @param {Event} event */
function click(event) {
  if (!near(event, "[data-mf-pick-none]")) return;
  for (const box of boxes()) box.checked = false;
  count();
}

/**
 * Arrow keys move from checkbox to checkbox, and show the page of each.
 * @param {KeyboardEvent} event
 */
function key(event) {
  const box = near(event, "[data-mf-pick-file]");
  const step = { ArrowDown: 1, ArrowUp: -1 }[event.key];
  if (!box || !step) return;
  const all = boxes();
  const next = all[all.indexOf(/** @type {HTMLInputElement} */ (box)) + step];
  if (!next) return;
  event.preventDefault();
  next.focus();
  const row = next.closest(".mf-inbox-item");
  document.querySelectorAll(".mf-inbox-item.mf-at").forEach((other) => other.classList.remove("mf-at"));
  row?.classList.add("mf-at");
  /** @type {HTMLElement | null | undefined} */ (row?.querySelector("[data-mf-why]"))?.click();
}

/* Files dragged over the home page: where they are added appears. They can be dropped anywhere. */

/** @type {EventTarget | null} */
let entered = null;

/** @param {DragEvent} event */
function drag(event) {
  const home = document.querySelector("[data-mf-home-add]");
  if (!home || !event.dataTransfer?.types.includes("Files")) return;
  if (event.type === "dragenter") entered = event.target;
  const isOver = event.type === "dragenter" || (event.type === "dragleave" && event.target !== entered);
  home.toggleAttribute("data-mf-dragging", isOver);
}

/** @param {Event} event */
function added(event) {
  const manager = /** @type {HTMLElement | null | undefined} */ (near(event, "[data-mf-home-add] .mf-manager"));
  if (!manager) return;
  setTimeout(() => {
    if (manager.querySelector(".mf-upload")) return;
    const link = /** @type {HTMLAnchorElement | null} */ (manager.querySelector("[data-mf-elsewhere] a"));
    location.assign(link?.href ?? manager.dataset.mfRecord ?? "/inbox");
  }, 500);
}

export function start() {
  on("dragenter dragleave drop", drag);
  on("documents:changed", added);
  on("change", changed);
  on("click", click);
  on("keydown", key);
}
