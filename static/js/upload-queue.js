/**
 * The upload queue as the rest of the page uses it: what the user does to a file, and what swaps do to the rows.
 */
import { _, ngettext } from "./i18n.js";
import * as page from "./upload-page.js";
import * as store from "./upload-store.js";
import { isUnfinished } from "./upload-item.js";
import { go, next, remove, resume, run } from "./upload-send.js";

export { finish, goOn, next, resume } from "./upload-send.js";
export { change, has, itemsOf, join, waiting } from "./upload-store.js";

/** @typedef {import("./upload-item.js").Item} Item */

/**
 * Removes a file, also from the server if it may have arrived there.
 * @param {Item} item
 */
export function cancel(item) {
  const { request, task, uncertain } = item;
  clearTimeout(item.timer);
  request?.abort();
  item.request = null;
  if (task !== "send" || item.stored || (!request && !uncertain)) return remove(item);
  Object.assign(item, { task: "cancel", tries: 0, waited: 0, renewed: false });
  store.change(item, "cancelling");
  run(item);
  next();
}

/** @param {HTMLElement} button that removes all files of its record with this action */
export function cancelTogether(button) {
  const widget = store.busyWidgets().find(({ id }) => id === button.closest(".mf-manager")?.id);
  if (widget) store.itemsWith(widget, button.dataset.mfTogether ?? "").reverse().forEach(cancel);
}

/** @param {Item} item */
export function retry(item) {
  Object.assign(item, { tries: 0, waited: 0, renewed: false });
  if (item.task !== "send") store.change(item, item.task === "save" ? "done" : "cancelling");
  if (item.widget.upload) go(item);
  resume();
}

/** @param {Element} element @returns {Item | undefined} the one whose row contains it */
export const itemOf = (element) => store.all().find(({ row }) => row.contains(element));

/** @param {string} [managerId] @returns {boolean} whether leaving would lose files */
export const pending = (managerId) =>
  store.all().some((item) => isUnfinished(item) && (!managerId || item.widget.id === managerId));

/** @param {string} managerId of a record's form @returns {boolean} whether files are held there until it is saved */
export const isHeld = (managerId) =>
  store.all().some(({ state, widget }) => state === "held" && widget.id === managerId);

/**
 * Removes held and refused files. Uploads started before the form was opened continue.
 * @param {string} managerId
 */
export const discard = (managerId) =>
  store
    .all()
    .filter(({ state, widget }) => ["held", "refused"].includes(state) && widget.id === managerId)
    .forEach(cancel);

/* The page around it */

/** After a swap: moves the rows into the current list of their record. */
export function attach() {
  page.learnAll();
  for (const widget of store.busyWidgets()) {
    const list = page.listOf(widget);
    const rows = store.itemsOf(widget).map(({ row }) => row);
    if (rows.some((row, index) => list && list.children[index] !== row)) list?.replaceChildren(...rows);
    store.itemsOf(widget).forEach(store.draw);
    store.drawTogether(widget);
  }
  store.recheckRoom();
  store.drawBar();
  store.drawSignedOut();
}

/**
 * Starts the files held for this record.
 * @param {string} type @param {string} id
 */
export function recordSaved(type, id) {
  for (const item of store.all()) {
    if (item.state === "held" && item.widget.id === `mf-manager-${type}-${id}`) store.change(item, store.waiting());
  }
  next();
  resume();
}

/** @param {string} type @param {string} id */
export function recordCreated(type, id) {
  for (const item of store.all().filter(({ widget }) => widget.id === `mf-manager-${type}-new`))
    item.widget = page.becameRecord(item.widget, type, id);
  attach();
  recordSaved(type, id);
}
