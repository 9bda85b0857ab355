/**
 * The menu of a document's row. The page holds it once per list; it is filled in where it opens.
 */
import { near, on } from "./dom.js";
import { htmx } from "./host.js";

const doc = document;
const GAP = 4; // pixels between the button and its menu
const EDGE = 8; // pixels between the menu and the edge of the window
/** where the button of the open menu was when the menu was put beside it */
let anchored = new DOMRect();

/** @param {Element} part of a menu @param {string} id of the document it is about */
function address(part, id) {
  for (const name of ["href", "formaction", "hx-get", "hx-post"]) {
    const url = part.getAttribute(name);
    if (url) part.setAttribute(name, url.replace("/files/0/", `/files/${id}/`).replace(/\b(edit|files)=0/, `$1=${id}`));
  }
}

/** @param {HTMLElement} button @returns {HTMLElement | null} the menu of its row */
function build(button) {
  /** @type {HTMLTemplateElement | null | undefined} */
  const template = button.closest(".mf-body")?.querySelector("template[data-mf-menu-of]");
  const row = /** @type {HTMLElement | null} */ (button.closest("[data-mf-row]"));
  const menu = /** @type {HTMLElement | null | undefined} */ (template?.content.firstElementChild?.cloneNode(true));
  if (!menu || !row) return null;
  const able = (button.dataset.mfMenu || "open download edit delete").split(" ");
  for (const part of menu.querySelectorAll("[data-mf-can]")) {
    if (!able.includes(part.getAttribute("data-mf-can") ?? "")) part.remove();
  }
  menu.querySelectorAll("a, button").forEach((part) => address(part, row.dataset.mfRow ?? ""));
  const name = row.querySelector(".mf-file-name")?.textContent ?? "";
  menu.querySelectorAll("[data-mf-named]").forEach((part) => (part.textContent = ` ${name}`));
  menu.setAttribute("aria-label", button.getAttribute("aria-label") ?? "");
  return menu;
}

/** @param {HTMLElement} menu @param {HTMLElement} button */
function put(menu, button) {
  const [beside, box] = [button.getBoundingClientRect(), menu.getBoundingClientRect()];
  const below = beside.bottom + GAP;
  const fits = below + box.height <= innerHeight - EDGE;
  anchored = beside;
  const top = fits ? below : Math.max(EDGE, beside.top - GAP - box.height);
  menu.style.setProperty("top", `${top}px`);
  menu.style.setProperty("left", `${Math.max(EDGE, Math.min(beside.right, innerWidth - EDGE) - box.width)}px`);
}

/** @returns {HTMLElement | null} */
const shown = () => doc.querySelector(".mf-row-menu:popover-open");

function close() {
  shown()?.hidePopover();
}

/** @param {FocusEvent} event the focus moved on with Tab */
function left({ currentTarget, relatedTarget }) {
  const menu = /** @type {HTMLElement} */ (currentTarget);
  const isLeft = relatedTarget instanceof Node && !menu.contains(relatedTarget);
  if (isLeft && menu.matches(":popover-open")) menu.hidePopover();
}

/** @param {HTMLElement} button */
function open(button) {
  const known = shown();
  close();
  if (known && known.parentElement === button.parentElement) return;
  const menu = build(button);
  if (!menu) return;
  doc.querySelectorAll(".mf-row-menu").forEach((old) => old.remove());
  button.after(menu);
  htmx()?.process(menu);
  menu.addEventListener("focusout", left);
  menu.addEventListener("toggle", () => button.setAttribute("aria-expanded", String(menu.matches(":popover-open"))));
  button.focus(); // where the focus returns when the menu closes
  menu.showPopover();
  put(menu, button);
  /** @type {HTMLElement | null} */ (menu.querySelector("a, button"))?.focus();
}

/** @param {MouseEvent} event */
function clicked(event) {
  const button = /** @type {HTMLElement | null} */ (near(event, "[data-mf-menu]"));
  if (button && !event.ctrlKey && !event.metaKey && !event.shiftKey) {
    event.preventDefault();
    return open(button);
  }
  const menu = near(event, ".mf-row-menu");
  if (near(event, "[data-mf-menu-open]")) {
    const link = near(event, "[data-mf-row]")?.querySelector(".mf-look-link");
    close();
    link?.focus();
    link?.click();
  } else if (menu && near(event, "a, button")) close(); // it stays in the page: its request may be under way
}

/** @param {KeyboardEvent} event */
function keyed(event) {
  const button = near(event, "[data-mf-menu]");
  if (button && [" ", "ArrowDown"].includes(event.key)) {
    event.preventDefault();
    return open(button);
  }
}

/** The menu does not follow its button. The event of a scroll that ended before the menu opened changes nothing. */
function scrolled() {
  const now = shown()?.parentElement?.querySelector("[data-mf-menu]")?.getBoundingClientRect();
  if (now && (now.top !== anchored.top || now.left !== anchored.left)) close();
}

export function start() {
  doc.addEventListener("click", clicked);
  doc.addEventListener("keydown", keyed);
  doc.addEventListener("scroll", scrolled, true);
  on("resize", close, window);
}
