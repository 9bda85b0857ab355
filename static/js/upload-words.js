/**
 * Messages of the upload queue.
 */
import { sizeWords } from "./files.js";

/** @type {Record<number, string>} */
const WORDS = {
  0: "Can’t reach the server.",
  401: "You were signed out.",
  403: "You can’t add documents here.",
  404: "This record no longer exists.",
  408: "The connection was too slow.",
  409: "This file wasn’t added because something changed in the meantime. Check the list, then try again.",
  413: "This file is too large.",
  415: "This type of file can’t be added here.",
  429: "Too many uploads at once.",
  502: "The server is unavailable.",
  503: "The server is busy.",
  504: "The server took too long.",
};

/** @param {number} status @returns {string} for a response without its own message */
export const statusWords = (status) =>
  WORDS[status] ?? (status >= 500 ? "Something went wrong on our end." : "The server didn’t accept this file.");

/** @param {number} count @param {string} word */
export const plural = (count, word) => `${count} ${word}${count === 1 ? "" : "s"}`;

/** @param {number} seconds */
export function durationWords(seconds) {
  if (seconds < 59.5) return plural(Math.max(1, Math.round(seconds)), "second");
  return seconds < 3_570 ? plural(Math.round(seconds / 60), "minute") : plural(Math.round(seconds / 3_600), "hour");
}

/** @param {number} bytes sent @param {number} total @param {number} speed bytes a second, 0 = not known */
export function progressWords(bytes, total, speed) {
  const percent = `${Math.floor((100 * bytes) / total)}%`;
  return speed > 0
    ? `${percent} · ${sizeWords(speed)}/s · about ${durationWords((total - bytes) / speed)} left`
    : percent;
}

/** @param {string} one "visit" @returns {string} "a visit" */
const withArticle = (one) => `${/^[aeiou]/i.test(one) ? "an" : "a"} ${one}`;

/** @param {number} count more than one @param {string} one @param {number} most @returns {string} */
export const overflowWords = (count, one, most) => `${count} files don’t fit: ${withArticle(one)} can hold ${most}.`;

/** @param {string} one @returns {string} message for a file that was refused because the record was full */
export const roomAgainWords = (one) => `This ${one} now has room for this file. Try again to add it.`;

/** @param {string} one @param {number} free remaining capacity of the record @param {number} most @returns {string} */
export function roomWords(one, free, most) {
  if (free <= 0) return `This ${one} is full (${most} of ${most}). Move a document to trash, then try again.`;
  return `This file doesn’t fit: ${withArticle(one)} can hold ${most}. Cancel another file, then try again.`;
}
