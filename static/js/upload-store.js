/**
 * The files in the upload queue and their states, as the page shows them.
 * They are kept in memory, not in the page, so that no swap loses a file.
 */
import { _ } from "./i18n.js";
import * as page from "./upload-page.js";
import * as view from "./upload-row.js";
import { barWords, isIdle, isUnfinished } from "./upload-item.js";
import { noteWords, offerWords } from "./upload-places.js";
import { STATES, looks, stateWords, takesPlace } from "./upload-states.js";
import { roomAgainWords, roomWords } from "./upload-words.js";

/** @typedef {import("./upload-page.js").Widget} Widget */
/** @typedef {import("./upload-item.js").Item} Item */
/** @typedef {import("./upload-item.js").State} State */

export const SIGNED_OUT = _("You were signed out. Sign in again in another tab. Your files will stay here.");
export const session = { signedOut: false };

/** @type {Item[]} */
let items = [];
/** @type {ReturnType<typeof setInterval> | undefined} */
let ticking;

export const all = () => items;
/** @param {Widget} widget */
export const itemsOf = (widget) => items.filter((item) => item.widget === widget);
export const busyWidgets = () => [...new Set(items.map(({ widget }) => widget))];

/** @param {Item} item */
export const join = (item) => items.push(item);
/** @param {Item} item */
export const has = (item) => items.includes(item);
/** @param {Item} item */
export const drop = (item) => (items = items.filter((other) => other !== item));

/** @returns {State} of a file that can be sent */
export const waiting = () => (session.signedOut ? "paused" : "queued");

/** @param {Item} item @param {State} state @param {string} [words] */
export function change(item, state, words = "") {
  Object.assign(item, { state, words });
  const { bar } = STATES[state];
  if (bar !== undefined) view.fill(item.row, bar);
  draw(item);
  drawTogether(item.widget);
  ticking ??= setInterval(tick, 500);
  drawBar();
}

/** @param {Item} item */
export function draw(item) {
  view.tell(item.row, stateWords(item, session.signedOut));
  view.note(item.row, noteWords(item));
  view.keepFocus(item.row, () => view.show(item.row, looks(item)));
}

function tick() {
  const moving = items.filter(({ state }) => state === "sending" || state === "waiting");
  moving.forEach((item) => view.tell(item.row, stateWords(item, session.signedOut)));
  if (moving.length) return;
  clearInterval(ticking);
  ticking = undefined;
}

/** Updates the messages for files that did not fit: whether they fit now. */
export function recheckRoom() {
  const full = items.filter(
    ({ state, row }) => ["refused", "failed"].includes(state) && row.dataset.mfCode === "too-many",
  );
  for (const item of full) {
    const { limits, widget } = item;
    const fits = widget.free > itemsOf(widget).filter(takesPlace).length;
    const words = fits ? roomAgainWords(limits.one) : roomWords(limits.one, widget.free, limits.maxFiles);
    if (item.words !== words && (fits || item.words === roomAgainWords(limits.one))) change(item, item.state, words);
  }
}

/** @param {Widget} widget @param {string} action @returns {Item[]} its files that offer this */
export const itemsWith = (widget, action) =>
  itemsOf(widget).filter((item) => looks(item).actions.some((one) => one === action));

/** @type {Set<Widget>} whose offers for several files are about to be drawn */
const outdated = new Set();

/**
 * Offers what can be done with several files at once: drawn once, however many files have changed.
 * @param {Widget} widget
 */
export function drawTogether(widget) {
  if (!outdated.size) queueMicrotask(() => outdated.forEach(drawOffers));
  outdated.add(widget);
}

/** @param {Widget} widget */
function drawOffers(widget) {
  outdated.delete(widget);
  const all = itemsOf(widget).flatMap((item) => looks(item).actions);
  const [cancel, dismiss, inbox] = ["cancel", "dismiss", "inbox"].map((one) => all.filter((is) => is === one).length);
  page.drawTogether(widget, [
    { action: "inbox", words: offerWords(inbox, widget.patient?.name ?? ""), isShown: inbox > 0 },
    { action: "cancel", words: _("Cancel all %(count)s", { count: cancel }), isShown: cancel > 1 },
    { action: "dismiss", words: _("Remove all %(count)s", { count: dismiss }), isShown: dismiss > 1 },
  ]);
}

export function drawSignedOut() {
  const waits = (/** @type {Widget} */ widget) => itemsOf(widget).some(isIdle);
  page.drawSignedOut(SIGNED_OUT, session.signedOut ? busyWidgets().filter(waits) : []);
}

export function drawBar() {
  const away = busyWidgets().filter((widget) => !page.listOf(widget) && itemsOf(widget).some(isUnfinished));
  page.drawBar(away.map((widget) => [widget, barWords(itemsOf(widget))]));
}
