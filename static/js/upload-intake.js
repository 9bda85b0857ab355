/**
 * Decides which files enter the upload queue and which are refused before anything is sent. Photos over the limit can
 * be reduced.
 */
import { canShrink, refusal, smaller } from "./files.js";
import { newItem } from "./upload-item.js";
import * as page from "./upload-page.js";
import * as queue from "./upload-queue.js";
import * as view from "./upload-row.js";
import { takesPlace } from "./upload-states.js";
import { newKey } from "./transfer.js";
import { overflowWords, plural, roomWords } from "./upload-words.js";

/** @typedef {import("./upload-item.js").Item} Item */
/** @typedef {import("./upload-page.js").Widget} Widget */

const SHRINKING = "Making a smaller copy…";
const UNREAD = "This file or folder couldn’t be read. Check it on your device, then select it again.";

/**
 * @param {number} free remaining capacity of the record
 * @param {number} queued files already in the queue
 * @param {number} count
 * @returns {number} how many more of them fit
 */
export const fitting = (free, queued, count) => Math.max(0, Math.min(count, free - queued));

/** @param {HTMLElement} zone @param {File[]} files @param {string[]} [unread] paths of unreadable files */
export function add(zone, files, unread = []) {
  const manager = /** @type {HTMLElement | null} */ (zone.closest(".mf-manager"));
  if (!manager) return;
  const widget = page.learn(manager);
  const lost = unread.map((path) => new File([], path));
  const fresh = [...files, ...lost].map((file) => newItem(zone, widget, file));
  page.listOf(widget)?.append(...fresh.map(({ row }) => row));
  for (const item of fresh) {
    queue.join(item);
    if (lost.includes(item.file)) queue.change(item, "refused", UNREAD);
    else admit(item);
  }
  sayTaken(widget, fresh);
  queue.next();
  queue.resume();
}

/** @param {Item} item @returns {{ message: string, code: string } | null} */
function whyNot({ file, limits, widget }) {
  const chosen = queue.itemsOf(widget).filter(takesPlace).length;
  const full = { code: "too-many", message: roomWords(limits.one, widget.free, limits.maxFiles) };
  return refusal(file, limits) ?? (fitting(widget.free, chosen, 1) ? null : full);
}

/**
 * Checks a file.
 * @param {Item} item
 */
export function admit(item) {
  const why = whyNot(item);
  item.row.dataset.mfCode = why?.code ?? "";
  item.row.toggleAttribute(
    "data-mf-can-shrink",
    why?.code === "too-large" && canShrink(item.file, item.limits.accepts),
  );
  if (why) queue.change(item, "refused", why.message);
  else queue.change(item, item.widget.mode === "view" ? queue.waiting() : "held");
}

/** @param {Item} item */
export async function makeSmaller(item) {
  if (item.words === SHRINKING) return;
  queue.change(item, "refused", SHRINKING);
  const words = await offer(item).catch((/** @type {Error} */ error) => error.message);
  if (!queue.has(item)) return;
  view.keepFocus(item.row, () => item.row.removeAttribute("data-mf-can-shrink"));
  queue.change(item, "refused", words);
  page.say(item.widget, `${item.file.name}: ${words}`);
}

/** @param {Item} item @returns {Promise<string>} */
async function offer(item) {
  const made = await smaller(item.file, item.limits.maxSize);
  item.offer = made.file;
  if (queue.has(item)) view.showOffer(item.row, item.file, made);
  return "The smaller copy is ready. Check it before you use it.";
}

/** @param {Item} item */
export function useSmaller(item) {
  if (!item.offer) return;
  Object.assign(item, { file: item.offer, offer: undefined, key: newKey() });
  view.keepFocus(item.row, () => view.hideOffer(item.row));
  view.describe(item.row, item.file);
  again(item);
}

/**
 * Checks a refused file again, after something has changed.
 * @param {Item} item
 */
export function again(item) {
  page.learnAll();
  admit(item);
  sayTaken(item.widget, [item]);
  queue.next();
}

/** @param {Widget} widget @param {Item[]} fresh */
function sayTaken(widget, fresh) {
  const refused = fresh.filter(({ state }) => state === "refused");
  const taken = plural(fresh.length - refused.length, "file");
  if (!fresh.length) page.say(widget, "No files found.");
  if (fresh.length > refused.length)
    page.say(widget, widget.mode === "view" ? `Adding ${taken}.` : `${taken} will be added when you save.`);
  const tooMany = refused.filter(({ row }) => row.dataset.mfCode === "too-many");
  const { one, maxFiles } = refused[0]?.limits ?? { one: "", maxFiles: 0 };
  if (refused.length > 2 && tooMany.length === refused.length)
    page.say(widget, overflowWords(refused.length, one, maxFiles));
  else if (refused.length > 2)
    page.say(widget, `${refused.length} files can’t be added. See the reason next to each file.`);
  else refused.forEach(({ file, words }) => page.say(widget, `${file.name}: ${words}`));
}
