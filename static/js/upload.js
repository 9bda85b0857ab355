/**
 * Uploading: how files enter the queue, and the page events that resume it.
 */
import { near, on } from "./dom.js";
import { gather, inOrder, pasted, photo, visible } from "./files.js";
import { listen } from "./host.js";
import * as intake from "./upload-intake.js";
import * as queue from "./upload-queue.js";
import { leave } from "./upload-row.js";

export { discard, isHeld, pending } from "./upload-queue.js";

/** @typedef {{ type: string, id: string | number }} Saved */

/** @type {HTMLElement | null} the focused control in a row when a swap started */
let typing = null;
/** @type {EventTarget | null} the last element that files were dragged onto */
let entered = null;
let picking = ""; // the widget whose file picker was opened last

/* Picker and camera */

/** @type {Record<string, string>} button and the file input it opens */
const buttons = {
  "[data-mf-pick]": "[data-mf-input]",
  "[data-mf-folder]": "[data-mf-input-folder]",
  "[data-mf-photo]": "[data-mf-input-photo]",
};

/** @typedef {import("./upload-item.js").Item} Item */
/** @type {Record<string, (item: Item) => void>} the buttons of a row */
const presses = {
  "[data-mf-cancel], [data-mf-dismiss], [data-mf-hide]": queue.cancel,
  "[data-mf-retry], [data-mf-add-now]": (item) => (item.state === "refused" ? intake.again(item) : queue.retry(item)),
  "[data-mf-add-as]": intake.addAs,
  "[data-mf-add-all]": intake.addAllAs,
  "[data-mf-keep]": intake.keepOriginal,
};

/** @param {HTMLElement} button @param {Event} event never submits the surrounding form */
function press(button, event) {
  event.preventDefault();
  const item = queue.itemOf(button);
  const act = Object.entries(presses).find(([selector]) => button.matches(selector))?.[1];
  if (item) act?.(item);
}

/** @param {Event} event */
function click(event) {
  const inRow = near(event, ".mf-upload button");
  if (inRow) return press(inRow, event);
  const together = near(event, "[data-mf-together]");
  if (together) return queue.actTogether(together);
  for (const [button, input] of Object.entries(buttons)) {
    const zone = near(event, button)?.closest("[data-mf-zone]");
    if (zone) open(zone, /** @type {HTMLInputElement} */ (zone.querySelector(input)));
  }
}

/** @param {HTMLElement} zone @param {HTMLInputElement} input */
function open(zone, input) {
  picking = zone.closest(".mf-manager")?.id ?? "";
  /** @type {HTMLElement | null} */ (zone.querySelector(":popover-open"))?.hidePopover();
  input.onchange = () => input.isConnected || take(zoneNow(), input);
  input.click();
}

/**
 * @returns {HTMLElement | null | undefined} zone of the widget whose picker was opened, even if a swap has replaced it
 */
const zoneNow = () => document.getElementById(picking)?.querySelector("[data-mf-zone]");

/** @param {Event} event */
function chosen(event) {
  const input = /** @type {HTMLInputElement | null} */ (near(event, Object.values(buttons).join()));
  if (input) take(input.closest("[data-mf-zone]"), input);
}

/** @param {HTMLElement | null | undefined} zone @param {HTMLInputElement} input */
function take(zone, input) {
  if (!input.files?.length || !zone) return;
  const files = [...input.files];
  input.value = "";
  if (input.matches("[data-mf-input-photo]")) return intake.add(zone, files.map(photo));
  intake.add(zone, inOrder(input.matches("[data-mf-input-folder]") ? visible(files) : files));
}

/* Drop */

/** @param {Element | null} zone */
function mark(zone) {
  document.querySelectorAll("[data-drag]").forEach((other) => other !== zone && other.removeAttribute("data-drag"));
  zone?.setAttribute("data-drag", "");
}

/**
 * Returns the zone that takes the files: on the home page, which has only one, from everywhere outside of dialogs.
 * @param {Event} event
 * @returns {HTMLElement | null}
 */
const zoneOf = (event) =>
  near(event, "[data-mf-zone]") ??
  (near(event, "dialog") ? null : document.querySelector("[data-mf-home-add] [data-mf-zone]"));

/**
 * Handles dragged files. A drop outside a zone is ignored, because the browser would otherwise navigate to the file.
 * @param {DragEvent} event
 */
function drag(event) {
  const { dataTransfer, type } = event;
  if (!dataTransfer?.types.includes("Files")) return;
  const zone = zoneOf(event);
  if (type === "dragenter") entered = event.target;
  if (zone || (near(event, ".mf") && !near(event, "input"))) event.preventDefault();
  if (!zone && near(event, ".mf") && event.defaultPrevented) dataTransfer.dropEffect = "none";
  mark(type === "drop" ? null : zone);
  if (zone && type === "drop") drop(zone, dataTransfer);
}

/** @param {HTMLElement} zone @param {DataTransfer} dataTransfer */
async function drop(zone, dataTransfer) {
  /** @type {string[]} */
  const unread = [];
  const files = await gather(dataTransfer, (path) => unread.push(path));
  intake.add(zone, inOrder(files), unread);
}

/**
 * The pointer has left the window if it leaves the element that it entered last.
 * @param {DragEvent} event
 */
function dragLeave(event) {
  if (event.target === entered) mark(null);
}

/** @param {ClipboardEvent} event */
function paste(event) {
  const zone = /** @type {HTMLElement | null | undefined} */ (
    near(event, ".mf-manager")?.querySelector("[data-mf-zone]") ?? zoneOf(event)
  );
  const files = zone ? pasted(event) : [];
  if (!zone || !files.length) return;
  event.preventDefault();
  intake.add(zone, files);
}

/* Swaps, connection, leaving */

function beforeSwap() {
  typing = document.activeElement?.closest(".mf-upload") ? /** @type {HTMLElement} */ (document.activeElement) : null;
}

function afterSwap() {
  queue.attach();
  if (typing?.isConnected && document.activeElement === document.body) typing.focus({ preventScroll: true });
}

/** @param {FocusEvent} event */
function focusLeft(event) {
  const item = event.target instanceof Element ? queue.itemOf(event.target) : undefined;
  if (
    item?.state !== "done" ||
    item.task !== "send" ||
    item.row.contains(/** @type {Node | null} */ (event.relatedTarget))
  )
    return;
  setTimeout(() => item.state === "done" && item.task === "send" && queue.finish(item));
}

/**
 * Keeps Enter in a file's fields from submitting the surrounding form.
 * @param {KeyboardEvent} event
 */
function enter(event) {
  const field = event.key === "Enter" && near(event, ".mf-upload input");
  const item = field && queue.itemOf(field);
  if (!item) return;
  event.preventDefault();
  if (item.state === "done") leave(item.row);
}

function back() {
  if (document.visibilityState === "hidden") return;
  queue.resume();
  queue.goOn();
}

/** @param {string} type @param {string} id */
function created(type, id) {
  if (picking === `mf-manager-${type}-new`) picking = `mf-manager-${type}-${id}`;
  queue.recordCreated(type, id);
}

/** @param {BeforeUnloadEvent} event */
function warn(event) {
  if (!queue.pending()) return;
  event.preventDefault();
  event.returnValue = true;
}

/** Takes the files that were chosen before the script was ready: without it, only a form would send them. */
function catchUp() {
  for (const input of document.querySelectorAll(Object.values(buttons).join()))
    take(input.closest("[data-mf-zone]"), /** @type {HTMLInputElement} */ (input));
}

export function start() {
  listen("ready", catchUp);
  on("click", click);
  on("change", chosen);
  on("dragenter dragover drop", drag);
  on("dragleave", dragLeave);
  on("paste", paste);
  on("focusout", focusLeft);
  on("keydown", enter);
  listen("swap", beforeSwap);
  listen("swapped", afterSwap);
  on("records:created", ({ detail }) => detail?.id && created(detail.type, String(detail.id)));
  on("records:changed", ({ detail }) => detail?.id && queue.recordSaved(detail.type, String(detail.id)));
  on("visibilitychange", back);
  on("online focus", back, window);
  on("beforeunload", warn, window);
  for (const name of ["close", "toggle"]) document.addEventListener(name, queue.attach, true);
  queue.attach();
}
