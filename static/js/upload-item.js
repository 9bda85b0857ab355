/**
 * One file of the upload queue.
 */
import { ngettext } from "./i18n.js";
import { newKey } from "./transfer.js";
import { limitsOf } from "./upload-page.js";
import { fields, makeRow } from "./upload-row.js";
import { STATES, isActive } from "./upload-states.js";

/** @typedef {import("./upload-page.js").Widget} Widget */
/** @typedef {import("./upload-states.js").State} State */
/** @typedef {"send" | "save" | "cancel"} Task */
/**
 * @typedef {object} Item one file, from selection until it is stored or removed
 * @property {File} file
 * @property {string} key the same for every attempt
 * @property {HTMLElement} row
 * @property {Widget} widget
 * @property {import("./upload-page.js").Limits} limits
 * @property {State} state
 * @property {string} words
 * @property {Task} task the next request to the server
 * @property {import("./transfer.js").Request | null} request
 * @property {ReturnType<typeof setTimeout>} [timer]
 * @property {number} due time of the next attempt
 * @property {number} tries
 * @property {number} waited
 * @property {boolean} renewed whether a stale token was already replaced
 * @property {boolean} uncertain whether the server may have the file without having confirmed it
 * @property {import("./transfer.js").Sample[]} samples
 * @property {import("./upload-row.js").Fields} sent
 * @property {string} stored the document's id
 * @property {File} [original] of a photo that was reduced
 * @property {boolean} [isKept] whether the original was added elsewhere
 * @property {import("./upload-places.js").Place} [to] instead of the record
 * @property {string} becomes the name with the right extension; "" if it has it
 * @property {boolean} agreed whether it may be added under that name
 */

/**
 * @param {HTMLElement} zone @param {Widget} widget @param {File} file
 * @param {string} [becomes] @param {boolean} [agreed] @returns {Item}
 */
export function newItem(zone, widget, file, becomes = "", agreed = false) {
  const [limits, row, sent] = [limitsOf(zone), makeRow(zone, file), {}];
  const counts = { due: 0, tries: 0, waited: 0, renewed: false, uncertain: false };
  const nothing = { request: null, samples: [], sent, stored: "", becomes, agreed };
  return { file, row, widget, limits, key: newKey(), state: "refused", words: "", task: "send", ...counts, ...nothing };
}

/**
 * Returns whether the details differ from what was sent.
 * @param {Item} item
 */
export function isRewritten({ row, sent, to }) {
  return !to && Object.entries(fields(row)).some(([name, value]) => value !== (sent[name] ?? ""));
}

/** @param {Item} item */
export function isUnfinished(item) {
  if (item.state === "done") return item.task === "save" || isRewritten(item);
  return isActive(item) || !!STATES[item.state].unfinished;
}

/**
 * Returns whether a file has no running request and will continue automatically.
 * @param {Item} item
 */
export function isIdle({ request, state, task }) {
  return !request && (state === "waiting" || state === "paused" || (task !== "send" && state !== "failed"));
}

/** @param {Item[]} some of one record @returns {string} */
export function barWords(some) {
  const count = (/** @type {(item: Item) => boolean} */ wanted) => some.filter(wanted).length;
  const [moving, failed] = [count(isActive), count(({ state }) => state === "failed")];
  if (moving) return ngettext("Adding %(num)s file…", "Adding %(num)s files…", moving);
  if (failed) return ngettext("%(num)s file could not be added", "%(num)s files could not be added", failed);
  const held = count(({ state }) => state === "held");
  return ngettext("%(num)s file not added yet", "%(num)s files not added yet", held);
}
