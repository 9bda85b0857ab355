/**
 * Decides which files enter the upload queue and which are refused before anything is sent. Photos over the limit are
 * reduced.
 */
import { belongsToDisc, canShrink, endingByContent, isDisc, refusal, rightName, smaller } from "./files.js";
import { _, ngettext } from "./i18n.js";
import { newItem } from "./upload-item.js";
import * as page from "./upload-page.js";
import * as queue from "./upload-queue.js";
import * as view from "./upload-row.js";
import { generalOf, noteWords } from "./upload-places.js";
import { isOffered, takesPlace } from "./upload-states.js";
import { newKey } from "./transfer.js";
import { overflowWords, renamedWords, roomWords, skippedWords } from "./upload-words.js";
import { whose } from "./whose.js";

/** @typedef {import("./upload-item.js").Item} Item */
/** @typedef {import("./upload-page.js").Widget} Widget */

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
  const to = await whose(zone, files.length);
  if (to === null) return;
  const widget = page.learn(manager);
  const { accepts } = page.limitsOf(zone);
  const endings = await Promise.all(files.map(endingByContent));
  const names = files.map(({ name }, at) => rightName(name, endings[at] ?? "", accepts));
  const [disc, skipped] = [isDisc(files), /** @type {File[]} */ ([])];
  const fresh = files.flatMap((file, at) => {
    const becomes = names[at] ?? "";
    const isImage = disc && becomes.endsWith(".dcm");
    if (!disc || !belongsToDisc(file, isImage)) return [{ ...newItem(zone, widget, file, becomes, isImage), to }];
    skipped.push(file);
    return [];
  });
  const lost = unread.map((path) => newItem(zone, widget, new File([], path)));
  firstOfCard(manager, widget, fresh);
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

/**
 * The first two photos of an insurance are those of its card.
 * @param {HTMLElement} manager @param {Widget} widget @param {Item[]} fresh
 */
function firstOfCard(manager, widget, fresh) {
  if (manager.dataset.mfType !== "insurance") return;
  const isPhoto = (/** @type {Item} */ { file }) => file.type.startsWith("image/");
  const photos = fresh.filter(isPhoto);
  const waiting = queue.itemsOf(widget).filter((item) => takesPlace(item) && isPhoto(item));
  const before = waiting.length + manager.querySelectorAll("[data-mf-row] .mf-tile-image").length;
  for (const [at, { row }] of photos.entries()) {
    const side = [_("Front"), _("Back")][before + at];
    if (side) view.prefill(row, { category: "card", description: side });
  }
}

/** @typedef {{ message: string, code: string, reducible?: boolean }} Reason */

/** @param {Item} item @returns {Reason | null} */
function whyNot({ file, limits, widget, becomes, agreed, to }) {
  const refused = refusal(file, limits, becomes || file.name);
  const reducible = refused?.code === "too-large" && canShrink(file, limits.accepts);
  if (refused && !reducible) return refused;
  if (becomes && !agreed && !reducible) return { code: "renamed", message: renamedWords(becomes) };
  const chosen = queue.itemsOf(widget).filter(takesPlace).length;
  if (!to && !fitting(widget.free, chosen, 1))
    return { code: "too-many", message: roomWords(limits.one, widget.free, limits.maxFiles) };
  return refused && { ...refused, reducible };
}

/**
 * Checks a file.
 * @param {Item} item
 */
export function admit(item) {
  const why = whyNot(item);
  item.row.dataset.mfCode = why?.code ?? "";
  view.offerName(item.row, item.becomes);
  if (why?.reducible) reduce(item, why.message);
  else if (why) queue.change(item, "refused", why.message);
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

/** One photo at a time, because each needs much memory. */
let reducing = Promise.resolve();

/** @param {Item} item @param {string} reason why it cannot be added as it is */
function reduce(item, reason) {
  queue.change(item, "reducing");
  reducing = reducing.then(async () => {
    if (!queue.has(item)) return;
    const made = await smaller(item.file, item.limits.maxSize).catch((/** @type {Error} */ error) => error.message);
    if (!queue.has(item)) return;
    if (typeof made === "string") queue.change(item, "refused", `${reason} ${made}`);
    else useReduced(item, made);
    page.say(item.widget, `${item.file.name}: ${noteWords(item) || item.words}`);
  });
}

/** @param {Item} item @param {File} made */
function useReduced(item, made) {
  Object.assign(item, { original: item.file, file: made, becomes: "", key: newKey() });
  view.describe(item.row, made);
  page.learnAll();
  admit(item);
  queue.next();
}

/**
 * Adds the original of a reduced photo to the patient's general documents.
 * @param {Item} item
 */
export function keepOriginal(item) {
  const { original, widget } = item;
  const zone = /** @type {HTMLElement | null | undefined} */ (page.listOf(widget)?.closest("[data-mf-zone]"));
  if (!original || !zone || !widget.patient) return;
  const other = { ...newItem(zone, widget, original), to: generalOf(widget.patient) };
  item.isKept = true;
  page.listOf(widget)?.append(other.row);
  queue.join(other);
  queue.change(item, item.state);
  queue.change(other, queue.waiting());
  queue.next();
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
