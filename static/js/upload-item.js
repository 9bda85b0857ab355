/**
 * One file of the upload queue: its properties, states and messages.
 */
import { _, ngettext } from "./i18n.js";
import { newKey, rate } from "./transfer.js";
import { limitsOf } from "./upload-page.js";
import { fields, makeRow } from "./upload-row.js";
import { progressWords } from "./upload-words.js";

/** @typedef {import("./upload-page.js").Widget} Widget */
/** @typedef {"refused" | "held" | "queued" | "sending" | "processing" | "waiting" | "paused" | "failed" | "cancelling" | "done"} State */
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
 * @property {File} [offer] the smaller one
 */

/** @param {HTMLElement} zone @param {Widget} widget @param {File} file @returns {Item} */
export function newItem(zone, widget, file) {
  const [limits, row, sent] = [limitsOf(zone), makeRow(zone, file), {}];
  const fresh = { due: 0, tries: 0, waited: 0, renewed: false, uncertain: false, request: null, samples: [], sent, stored: "" };
  return { file, row, widget, limits, key: newKey(), state: "refused", words: "", task: "send", ...fresh };
}

/** @param {Item} item */
export const isActive = ({ state }) => ["queued", "sending", "processing", "waiting", "paused", "cancelling"].includes(state);
/** @param {Item} item */
export const takesPlace = ({ state }) => ["held", "queued", "sending", "processing", "waiting", "paused"].includes(state);
/**
 * Returns whether the details differ from what was sent.
 * @param {Item} item
 */
export function isRewritten({ row, sent }) {
  return Object.entries(fields(row)).some(([name, value]) => value !== (sent[name] ?? ""));
}

/** @param {Item} item */
export const isUnfinished = (item) => isActive(item) || ["held", "failed"].includes(item.state) || (item.state === "done" && (item.task === "save" || isRewritten(item)));
/**
 * Returns whether a file has no running request and will continue automatically.
 * @param {Item} item
 */
export const isIdle = ({ request, state, task }) => !request && (state === "waiting" || state === "paused" || (task !== "send" && state !== "failed"));

/** @param {Item} item @param {boolean} signedOut @param {number} [now] @returns {string} */
export function stateWords({ state, words, widget, samples, file, due, task }, signedOut, now = Date.now()) {
  const seconds = Math.max(1, Math.ceil((due - now) / 1_000));
  return {
    refused: words,
    failed: words,
    held: widget.mode === "view" ? _("Not added yet.") : _("Will be added when you save."),
    queued: _("Waiting…"),
    sending: progressWords(samples.at(-1)?.bytes ?? 0, file.size, rate(samples, now)),
    processing: _("Processing…"),
    waiting: _("%(reason)s Retrying in %(seconds)s s.", { reason: words, seconds }),
    paused: signedOut ? _("Paused. Sign in again to continue.") : _("You’re offline. The upload will resume when you’re back online."),
    cancelling: _("Cancelling…"),
    done: task === "save" ? _("Added. Saving your changes…") : _("Added."),
  }[state];
}

/** @param {Item[]} some of one record @returns {string} */
export function barWords(some) {
  const count = (/** @type {(item: Item) => boolean} */ wanted) => some.filter(wanted).length;
  const [moving, failed, held] = [count(isActive), count(({ state }) => state === "failed"), count(({ state }) => state === "held")];
  if (moving) return ngettext("Adding %(num)s file…", "Adding %(num)s files…", moving);
  if (failed) return ngettext("%(num)s file could not be added", "%(num)s files could not be added", failed);
  return ngettext("%(num)s file not added yet", "%(num)s files not added yet", held);
}
