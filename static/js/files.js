/**
 * Files from the picker, drop, paste and camera, and the checks before anything is sent.
 */

import { cleaned, endingOf, lay, pathOf } from "./files-names.js";
import { canShrink } from "./files-smaller.js";
import { _, filled, ngettext } from "./i18n.js";

export { inOrder } from "./files-names.js";
export { belongsToDisc, endingByContent, isDisc, rightName } from "./files-types.js";
export { canShrink, smaller } from "./files-smaller.js";

/**
 * Rules for one record: `maxSize` is in bytes, `one` is a noun such as "visit".
 * @typedef {{ accepts: readonly string[], acceptsWords: string, maxSize: number, one: string }} Rules
 */
/** @typedef {{ code: "bad-name" | "type-not-allowed" | "empty-file" | "too-large", message: string }} Refusal */

const MB = 1024 * 1024;
const JUNK = /^(\.DS_Store|Thumbs\.db|desktop\.ini|\._.*|~\$.*)$/i;
const NAMELESS = /^(image|blob)?(\.\w+)?$/i;
/** @type {Record<string, string>} */
const ENDINGS = {
  "image/png": ".png",
  "image/jpeg": ".jpg",
  "image/gif": ".gif",
  "image/bmp": ".bmp",
  "image/tiff": ".tiff",
  "image/webp": ".webp",
  "image/heic": ".heic",
};

/* Drop, and folders */

/**
 * @param {string[]} path
 * @returns {boolean} whether it is a system file; an explicitly selected file may have a name that starts with a dot
 */
const hidden = (path) => path.some((part, depth) => JUNK.test(part) || (depth > 0 && part.startsWith(".")));

/** @param {Iterable<File>} files of a selected folder @returns {File[]} without system files */
export const visible = (files) => [...files].filter((file) => !hidden(pathOf(file)));

/**
 * Returns the dropped files, and all files in dropped folders. Must be called while the drop event is being handled:
 * the list is empty afterwards. An attachment dragged from a mail program may have an entry that cannot be read
 * although the file itself can.
 * @param {DataTransfer} transfer
 * @param {(path: string) => void} unread called for each unreadable file or folder
 * @returns {Promise<File[]>}
 */
export async function gather(transfer, unread = () => {}) {
  const items = [...transfer.items].filter((item) => item.kind === "file");
  const dropped = items.map((item) => ({ entry: item.webkitGetAsEntry(), file: item.getAsFile?.() ?? null }));
  /** @type {File[]} */
  const files = [];
  for (const { entry, file } of dropped) {
    const instead = (/** @type {string} */ path) => (entry?.isFile && file ? files.push(file) : unread(path));
    if (entry) for await (const one of walk(entry, instead)) files.push(one);
    else if (file) files.push(file);
  }
  return files;
}

/** @param {FileSystemEntry} entry @param {(path: string) => void} unread @returns {AsyncGenerator<File>} */
async function* walk(entry, unread) {
  if (hidden(entry.fullPath.split("/").filter(Boolean))) return;
  try {
    if (entry.isFile) yield await fileOf(/** @type {FileSystemFileEntry} */ (entry));
    else for await (const inner of inside(/** @type {FileSystemDirectoryEntry} */ (entry))) yield* walk(inner, unread);
  } catch (error) {
    if (!(error instanceof DOMException)) throw error;
    unread(entry.fullPath.slice(1));
  }
}

/** @param {FileSystemFileEntry} entry @returns {Promise<File>} */
async function fileOf(entry) {
  /** @type {File} */
  const file = await new Promise((resolve, reject) => entry.file(resolve, reject));
  lay(file, entry.fullPath);
  return file;
}

/** @param {FileSystemDirectoryEntry} folder @returns {AsyncGenerator<FileSystemEntry>} */
async function* inside(folder) {
  const reader = folder.createReader();
  for (;;) {
    /** @type {FileSystemEntry[]} at most 100 in Chromium, so only an empty batch marks the end */
    const some = await new Promise((resolve, reject) => reader.readEntries(resolve, reject));
    if (!some.length) return;
    yield* some;
  }
}

/* Paste and camera: unnamed files are named by date and time */

/** @param {ClipboardEvent} event @returns {File[]} empty if text was pasted */
export function pasted({ clipboardData }) {
  const files = [...(clipboardData?.files ?? [])];
  const text = clipboardData?.getData("text/plain").trim();
  // Word and Excel add an image of the text
  if (text && files.every(({ name }) => NAMELESS.test(name) && name !== text)) return [];
  return files.map((file) => (NAMELESS.test(file.name) ? dated(_("Pasted"), file, Date.now()) : file));
}

/** @param {File} file @returns {File} */
export const photo = (file) => dated(_("Photo"), file, file.lastModified || Date.now());

const given = new Set();
/** @type {WeakSet<File>} pictures of the camera and the clipboard */
const unsaved = new WeakSet();

/** @param {File} file @returns {boolean} whether it was selected from the device, where it stays */
export const isOnDevice = (file) => !unsaved.has(file);

/** @param {string} word @param {File} file @param {number} time @returns {File} */
function dated(word, file, time) {
  const local = new Date(time - new Date(time).getTimezoneOffset() * 60_000);
  const stem = `${word} ${local.toISOString().slice(0, 19).replace("T", " ").replaceAll(":", ".")}`;
  const ending = ENDINGS[file.type] ?? (endingOf(file.name) || ".jpg");
  let name = stem + ending;
  for (let count = 2; given.has(name); count++) name = `${stem} (${count})${ending}`;
  given.add(name);
  const made = new File([file], name, { type: file.type, lastModified: file.lastModified });
  unsaved.add(made);
  return made;
}

/* Checks made before the upload; the server repeats them */

/**
 * @param {File} file @param {Rules} rules @param {string} [name] under which it will be accepted
 * @returns {Refusal | null}
 */
export function refusal(file, { accepts, acceptsWords, maxSize, one }, name = file.name) {
  const ending = endingOf(name);
  if (!/[\p{L}\p{M}\p{N}\p{P}\p{S}]/u.test(cleaned(file.name)))
    return { code: "bad-name", message: _("This file has no usable name. Rename it, then select it again.") };
  if (!accepts.includes(ending)) {
    const message = ending
      ? _("%(ending)s files can’t be added to this %(record)s. You can add %(accepted)s.")
      : _("Files without an extension such as .pdf can’t be added to this %(record)s. You can add %(accepted)s.");
    return { code: "type-not-allowed", message: filled(message, { ending, record: one, accepted: acceptsWords }) };
  }
  if (!file.size)
    return { code: "empty-file", message: _("This file is empty. Check it on your device, then select it again.") };
  return file.size > maxSize ? tooLarge(file, maxSize, accepts) : null;
}

/** @param {File} file @param {number} maxSize @param {readonly string[]} accepts @returns {Refusal} */
function tooLarge(file, maxSize, accepts) {
  const [limit, size] = [sizeWords(maxSize), sizeWords(file.size)];
  const message = canShrink(file, accepts)
    ? _("This photo is %(size)s. The limit is %(limit)s.")
    : _("This file is %(size)s. The limit is %(limit)s. Make it smaller or split it, then try again.");
  const found = size === limit ? _("slightly over %(limit)s", { limit }) : size;
  return { code: "too-large", message: filled(message, { size: found, limit }) };
}

const languages = globalThis.navigator?.languages.filter((language) => /^en\b/.test(language)) ?? [];
/** @param {number} number @param {number} digits @returns {string} */
const written = (number, digits) =>
  new Intl.NumberFormat([...languages, "en-GB"], { maximumFractionDigits: digits, roundingMode: "halfEven" }).format(
    number,
  );

/** @param {number} bytes @returns {string} "1.8 MB", rounded as the server does */
export function sizeWords(bytes) {
  if (bytes < 1024) return ngettext("%(num)s byte", "%(num)s bytes", bytes, { num: written(bytes, 0) });
  const [number, unit] = bytes < MB ? [bytes / 1024, "KB"] : [bytes / MB, "MB"];
  return `${written(number, number >= 10 ? 0 : 1)} ${unit}`;
}
