/**
 * Decides which files enter the upload queue and which are refused before anything is sent. Photos over the limit can
 * be reduced.
 */
import { belongsToDisc, canShrink, endingByContent, isDisc, refusal, rightName, smaller } from "./files.js";
import { _, ngettext } from "./i18n.js";
import { newItem } from "./upload-item.js";
import * as page from "./upload-page.js";
import * as queue from "./upload-queue.js";
import * as view from "./upload-row.js";
import { isOffered, takesPlace } from "./upload-states.js";
import { newKey } from "./transfer.js";
import { overflowWords, renamedWords, roomWords, skippedWords } from "./upload-words.js";

/** @typedef {import("./upload-item.js").Item} Item */
/** @typedef {import("./upload-page.js").Widget} Widget */

const SHRINKING = _("Making a smaller copy…");
const UNREAD = _("This file or folder couldn’t be read. Check it on your device, then select it again.");

/**
 * @param {number} free remaining capacity of the record
 * @param {number} queued files already in the queue
 * @param {number} count
 * @returns {number} how many more of them fit
 */
export const fitting = (free, queued, count) => Math.max(0, Math.min(count, free - queued));

/** @param {HTMLElement} zone @param {File[]} files @param {string[]} [unread] paths of unreadable files */
export async function add(zone, files, unread = []) {
  const manager = /** @type {HTMLElement | null} */ (zone.closest(".mf-manager"));
  if (!manager) return;
  const widget = page.learn(manager);
  const { accepts } = page.limitsOf(zone);
  const endings = await Promise.all(files.map(endingByContent));
  const names = files.map(({ name }, at) => rightName(name, endings[at] ?? "", accepts));
  const [disc, skipped] = [isDisc(files), /** @type {File[]} */ ([])];
  const fresh = files.flatMap((file, at) => {
    const becomes = names[at] ?? "";
    const isImage = disc && becomes.endsWith(".dcm");
    if (!disc || !belongsToDisc(file, isImage)) return [newItem(zone, widget, file, becomes, isImage)];
    skipped.push(file);
    return [];
  });
  const lost = unread.map((path) => newItem(zone, widget, new File([], path)));
  page.listOf(widget)?.append(...[...fresh, ...lost].map(({ row }) => row));
  for (const item of [...fresh, ...lost]) {
    queue.join(item);
    if (lost.includes(item)) queue.change(item, "refused", UNREAD);
    else admit(item);
  }
  sayTaken(widget, [...fresh, ...lost], skipped);
  queue.next();
  queue.resume();
}

/** @param {Item} item @returns {{ message: string, code: string } | null} */
function whyNot({ file, limits, widget, becomes, agreed }) {
  const chosen = queue.itemsOf(widget).filter(takesPlace).length;
  const full = { code: "too-many", message: roomWords(limits.one, widget.free, limits.maxFiles) };
  const question = becomes && !agreed ? { code: "renamed", message: renamedWords(becomes) } : null;
  return refusal(file, limits, becomes || file.name) ?? question ?? (fitting(widget.free, chosen, 1) ? null : full);
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
  view.offerName(item.row, item.becomes);
  if (why) queue.change(item, "refused", why.message);
  else queue.change(item, item.widget.mode === "view" ? queue.waiting() : "held");
  drawOffers(item.widget);
}

/**
 * Offers to answer all questions about names at once if there are several.
 * @param {Widget} widget
 */
function drawOffers(widget) {
  const offered = queue.itemsOf(widget).filter(isOffered);
  for (const { row } of offered) view.offerAll(row, offered.length);
}

/** @param {Item} item */
export function addAs(item) {
  item.agreed = true;
  again(item);
}

/** @param {Item} item */
export function addAllAs({ widget }) {
  queue.itemsOf(widget).filter(isOffered).forEach(addAs);
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
  return _("The smaller copy is ready. Check it before you use it.");
}

/** @param {Item} item */
export function useSmaller(item) {
  if (!item.offer) return;
  Object.assign(item, { file: item.offer, offer: undefined, becomes: "", key: newKey() });
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

/** @param {Widget} widget @param {Item[]} fresh @param {File[]} [skipped] */
function sayTaken(widget, fresh, skipped = []) {
  page.drawSkipped(widget, skipped.length ? skippedWords(skipped.map(({ name }) => name)) : "");
  const refused = fresh.filter(({ state }) => state === "refused");
  const taken = fresh.length - refused.length;
  if (!fresh.length && !skipped.length) page.say(widget, _("No files found."));
  const adding = ngettext("Adding %(num)s file.", "Adding %(num)s files.", taken);
  const held = ngettext(
    "%(num)s file will be added when you save.",
    "%(num)s files will be added when you save.",
    taken,
  );
  if (taken) page.say(widget, widget.mode === "view" ? adding : held);
  const tooMany = refused.filter(({ row }) => row.dataset.mfCode === "too-many");
  const { one, maxFiles } = refused[0]?.limits ?? { one: "", maxFiles: 0 };
  if (refused.length > 2 && tooMany.length === refused.length)
    page.say(widget, overflowWords(refused.length, one, maxFiles));
  else if (refused.length > 2)
    page.say(widget, ngettext(
        "%(num)s file can’t be added. See the reason next to each file.",
        "%(num)s files can’t be added. See the reason next to each file.",
        refused.length,
      ));
  else refused.forEach(({ file, words }) => page.say(widget, `${file.name}: ${words}`));
}
