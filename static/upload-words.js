/**
 * The words of the upload queue: short, plain, and what to do next.
 */
import { sizeWords } from "./files.js";

/** @type {Record<number, string>} */
const WORDS = {
  0: "There was no answer.",
  401: "You were signed out.",
  403: "You may not add documents here.",
  404: "This record is not there any more.",
  408: "The connection was too slow.",
  409: "It could not be added: something changed meanwhile. Look at the list, then try again.",
  413: "This file is too large.",
  415: "This kind of file cannot be added here.",
  429: "Many files came at once.",
  502: "The server cannot be reached just now.",
  503: "The server is busy just now.",
  504: "The server took too long.",
};

/** @param {number} status @returns {string} for an answer that brought no sentence of its own */
export const statusWords = (status) => WORDS[status] ?? (status >= 500 ? "Something went wrong on our side." : "The server did not accept this file.");

/** @param {number} count @param {string} word */
export const plural = (count, word) => `${count} ${word}${count === 1 ? "" : "s"}`;

/** @param {number} seconds */
export function durationWords(seconds) {
  if (seconds < 59.5) return plural(Math.max(1, Math.round(seconds)), "second");
  return seconds < 3_570 ? plural(Math.round(seconds / 60), "minute") : plural(Math.round(seconds / 3_600), "hour");
}

/** @param {number} bytes sent @param {number} total @param {number} speed bytes a second, 0 = not known */
export function progressWords(bytes, total, speed) {
  const percent = `${Math.floor((100 * bytes) / total)} %`;
  return speed > 0 ? `${percent} · ${sizeWords(speed)}/s · about ${durationWords((total - bytes) / speed)} left` : percent;
}

/** @param {string} one @param {number} free places on the record @param {number} chosen files that take them up @param {number} most @returns {string} */
export function roomWords(one, free, chosen, most) {
  if (free <= 0) return `This ${one} holds ${most} of ${most} documents. Move one to the trash, then try again.`;
  return `This ${one} has room for ${plural(free, "more document")}, and you have chosen ${plural(chosen, "other file")}. Cancel one of them, then try again.`;
}
