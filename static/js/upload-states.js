/**
 * The states of a file in the upload queue, in one table.
 */
import { _ } from "./i18n.js";
import { rate } from "./transfer.js";
import { canKeepOriginal, forInbox } from "./upload-places.js";
import { progressWords } from "./upload-words.js";

/** @typedef {import("./upload-item.js").Item} Item */
/**
 * @typedef {"refused" | "reducing" | "held" | "queued" | "sending" | "processing" | "waiting" | "paused" | "failed"
 *   | "cancelling" | "done" | "reduced"} State
 */
/**
 * @typedef {"add-all" | "add-as" | "add-now" | "cancel" | "dismiss" | "hide" | "inbox" | "keep" | "retry"} Action a
 *   button of the row, or of all rows together
 */
/** @typedef {{ signedOut: boolean, now: number }} Moment */
/**
 * @typedef {object} Row of the table
 * @property {(item: Item, moment: Moment) => string} words
 * @property {(item: Item) => Action[]} actions
 * @property {"" | "danger" | "ok" | "warning"} [tone]
 * @property {boolean} [active] whether it continues without the user
 * @property {boolean} [placed] whether it will take one of the record's places
 * @property {boolean} [unfinished] whether leaving the page would lose it
 * @property {boolean} [moving] whether a progress bar is shown
 * @property {number} [bar] where the progress bar starts, in percent; -1: indeterminate
 * @property {boolean} [named] whether its details can be entered
 */

const HOPELESS = ["content-mismatch", "empty-file", "infected", "type-not-allowed"]; // sending it again would not help

/** @param {Item} item @returns {boolean} */
const isHopeless = ({ row }) => HOPELESS.includes(row.dataset.mfCode ?? "");

/** @param {Item} item @returns {boolean} whether its record has no room for it */
const isOver = ({ row }) => row.dataset.mfCode === "too-many";

/** @param {Item} item @returns {Action[]} */
const forInboxToo = (item) => (isOver(item) && forInbox(item) ? ["inbox"] : []);

const offline = _("You’re offline. The upload will resume when you’re back online.");

/** @type {Record<State, Row>} */
export const STATES = {
  refused: {
    words: ({ words }) => words,
    actions: (item) => [
      ...(isOffered(item) ? /** @type {Action[]} */ (["add-as", "add-all"]) : []),
      ...(isOver(item) ? /** @type {Action[]} */ (["retry"]) : []),
      ...forInboxToo(item),
      "dismiss",
    ],
    tone: "danger",
  },
  reducing: {
    words: () => _("Reducing this photo to fit…"),
    actions: () => ["cancel"],
    active: true,
    placed: true,
    moving: true,
    bar: -1,
    named: true,
  },
  held: {
    words: ({ widget }) => (widget.mode === "view" ? _("Not added yet.") : _("Will be added when you save.")),
    actions: ({ widget }) => (widget.mode === "view" ? ["add-now", "cancel"] : ["cancel"]),
    placed: true,
    unfinished: true,
    named: true,
  },
  queued: {
    words: () => _("Waiting…"),
    actions: () => ["cancel"],
    active: true,
    placed: true,
    bar: 0,
    named: true,
  },
  sending: {
    words: ({ file, samples }, { now }) => progressWords(samples.at(-1)?.bytes ?? 0, file.size, rate(samples, now)),
    actions: () => ["cancel"],
    active: true,
    placed: true,
    moving: true,
    named: true,
  },
  processing: {
    words: () => _("Processing…"),
    actions: () => ["cancel"],
    active: true,
    placed: true,
    moving: true,
    bar: -1,
    named: true,
  },
  waiting: {
    words: ({ due, words }, { now }) => {
      const seconds = Math.max(1, Math.ceil((due - now) / 1_000));
      return _("%(reason)s Retrying in %(seconds)s s.", { reason: words, seconds });
    },
    actions: () => ["retry", "cancel"],
    tone: "warning",
    active: true,
    placed: true,
    named: true,
  },
  paused: {
    words: (item, { signedOut }) => (signedOut ? _("Paused. Sign in again to continue.") : offline),
    actions: () => ["retry", "cancel"],
    tone: "warning",
    active: true,
    placed: true,
    named: true,
  },
  failed: {
    words: ({ words }) => words,
    actions: (item) => (isHopeless(item) ? ["dismiss"] : ["retry", ...forInboxToo(item), "dismiss"]),
    tone: "danger",
    unfinished: true,
    named: true,
  },
  cancelling: {
    words: () => _("Cancelling…"),
    actions: () => [],
    active: true,
    moving: true,
    bar: -1,
  },
  done: {
    words: ({ task }) => (task === "save" ? _("Added. Saving your changes…") : _("Added.")),
    actions: () => [],
    tone: "ok",
    named: true,
  },
  reduced: {
    words: () => _("Added."),
    actions: (item) => (canKeepOriginal(item) ? ["keep", "hide"] : ["hide"]),
    tone: "ok",
  },
};

/** @param {Item} item @returns {string} */
export function stateWords(item, signedOut = false, now = Date.now()) {
  return STATES[item.state].words(item, { signedOut, now });
}

/** @param {Item} item @returns {{ state: State, tone: string, actions: Action[], moving: boolean, named: boolean }} */
export function looks(item) {
  const { actions, tone: usual = "", moving = false, named = false } = STATES[item.state];
  const tone = isOffered(item) ? "" : usual;
  return { state: item.state, tone, actions: actions(item), moving, named: named && !item.to && !isHopeless(item) };
}

/** @param {Item} item @returns {boolean} whether it can be added under another name */
export const isOffered = ({ state, row }) => state === "refused" && row.dataset.mfCode === "renamed";
/** @param {Item} item */
export const isActive = ({ state }) => !!STATES[state].active;
/** @param {Item} item */
export const takesPlace = ({ state, to }) => !to && !!STATES[state].placed;
