/**
 * The states of a file in the upload queue, in one table.
 */
import { _ } from "./i18n.js";
import { rate } from "./transfer.js";
import { progressWords } from "./upload-words.js";

/** @typedef {import("./upload-item.js").Item} Item */
/**
 * @typedef {"refused" | "held" | "queued" | "sending" | "processing" | "waiting" | "paused" | "failed" | "cancelling"
 *   | "done"} State
 */
/**
 * @typedef {"add-all" | "add-as" | "add-now" | "cancel" | "dismiss" | "retry" | "smaller"} Action a button of the row
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
const offline = _("You’re offline. The upload will resume when you’re back online.");

/** @type {Record<State, Row>} */
export const STATES = {
  refused: {
    words: ({ words }) => words,
    actions: ({ row: { dataset } }) => [
      ...(dataset.mfCode === "renamed" ? /** @type {Action[]} */ (["add-as", "add-all"]) : []),
      ...(dataset.mfCode === "too-many" ? /** @type {Action[]} */ (["retry"]) : []),
      ...("mfCanShrink" in dataset ? /** @type {Action[]} */ (["smaller"]) : []),
      "dismiss",
    ],
    tone: "danger",
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
    actions: (item) => (isHopeless(item) ? ["dismiss"] : ["retry", "dismiss"]),
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
};

/** @param {Item} item @returns {string} */
export function stateWords(item, signedOut = false, now = Date.now()) {
  return STATES[item.state].words(item, { signedOut, now });
}

/** @param {Item} item @returns {{ state: State, tone: string, actions: Action[], moving: boolean, named: boolean }} */
export function looks(item) {
  const { actions, tone: usual = "", moving = false, named = false } = STATES[item.state];
  const tone = isOffered(item) ? "" : usual;
  return { state: item.state, tone, actions: actions(item), moving, named: named && !isHopeless(item) };
}

/** @param {Item} item @returns {boolean} whether it can be added under another name */
export const isOffered = ({ state, row }) => state === "refused" && row.dataset.mfCode === "renamed";
/** @param {Item} item */
export const isActive = ({ state }) => !!STATES[state].active;
/** @param {Item} item */
export const takesPlace = ({ state }) => !!STATES[state].placed;
