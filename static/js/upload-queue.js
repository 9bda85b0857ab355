/**
 * The upload queue as the rest of the page uses it: what the user does to a file, and what swaps do to the rows.
 */
import { _, ngettext } from "./i18n.js";
import * as page from "./upload-page.js";
import { newKey } from "./transfer.js";
import * as store from "./upload-store.js";
import * as view from "./upload-row.js";
import { isUnfinished } from "./upload-item.js";
import { forInbox, inboxOf } from "./upload-places.js";
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

/** @param {HTMLElement} button for all files of its record that offer its action */
export function actTogether(button) {
  const widget = store.busyWidgets().find(({ id }) => id === button.closest(".mf-manager")?.id);
  const action = button.dataset.mfTogether ?? "";
  if (!widget) return;
  if (action === "inbox") putIntoInbox(widget);
  else store.itemsWith(widget, action).reverse().forEach(cancel);
}

/**
 * Sends the files that do not fit to the patient's inbox instead.
 * @param {page.Widget} widget
 */
function putIntoInbox(widget) {
  if (!widget.patient) return;
  const to = inboxOf(widget.patient);
  for (const item of store.itemsWith(widget, "inbox")) {
    const file = forInbox(item) ?? item.file;
    Object.assign(item, { to, file, original: file === item.file ? item.original : undefined, key: newKey() });
    view.describe(item.row, file);
    retry(item);
  }
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
  store.all().some(({ state, widget }) => waitsForSave(state, widget) && widget.id === managerId);

/** @param {import("./upload-item.js").State} state @param {page.Widget} widget */
const waitsForSave = (state, { mode }) => state === "held" || (state === "reducing" && mode !== "view");

/**
 * Removes held and refused files. Uploads started before the form was opened continue.
 * @param {string} managerId
 */
export const discard = (managerId) =>
  store
    .all()
    .filter(({ state, widget }) => ["held", "reducing", "refused"].includes(state) && widget.id === managerId)
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
