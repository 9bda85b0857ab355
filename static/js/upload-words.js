/**
 * Messages of the upload queue.
 */
import { sizeWords } from "./files.js";
import { _, ngettext } from "./i18n.js";

/** @type {Record<number, string>} */
const WORDS = {
  0: _("Can’t reach the server."),
  401: _("You were signed out."),
  403: _("A firewall or proxy between you and the server blocked this file. Contact your administrator."),
  407: _("A proxy between you and the server asks you to sign in first."),
  404: _("This record no longer exists."),
  408: _("The connection was too slow."),
  409: _("This file wasn’t added because something changed in the meantime. Check the list, then try again."),
  413: _("A proxy between you and the server doesn’t let files of this size through. Contact your administrator."),
  415: _("This type of file can’t be added here."),
  429: _("Too many uploads at once."),
  502: _("The server is unavailable."),
  503: _("The server is busy."),
  504: _("The server took too long."),
  511: _("This network asks you to sign in first."),
  520: _("The proxy got no answer from the server."),
  521: _("The proxy can’t reach the server."),
  522: _("The proxy can’t reach the server."),
  523: _("The proxy can’t reach the server."),
  524: _("The server took too long."),
  530: _("The proxy can’t reach the server."),
};

/** @param {number} status @returns {string} for a response without its own message, which a proxy may have sent */
export const statusWords = (status) =>
  WORDS[status] ?? (status >= 500 ? _("Something went wrong on our end.") : _("The server didn’t accept this file."));

/** @param {string} becomes the name under which the file can be added */
export function renamedWords(becomes) {
  const type = becomes.slice(becomes.lastIndexOf("."));
  const values = { type, becomes };
  return _("The content of this file is that of a %(type)s file. Add it under the name %(becomes)s?", values);
}

const MOST_NAMED = 3;
/** @param {string[]} names @returns {string} about files of a CD that are no documents */
export function skippedWords(names) {
  const some = names.slice(0, MOST_NAMED).join(", ");
  const rest = names.length - MOST_NAMED;
  const listed = rest > 0 ? _("%(some)s and %(rest)s more", { some, rest }) : some;
  return ngettext(
    "Skipped %(num)s file of the disc that is not a document: %(listed)s.",
    "Skipped %(num)s files of the disc that are not documents: %(listed)s.",
    names.length,
    { listed },
  );
}

/** @param {number} added @param {number} failed @returns {string} */
export function allAddedWords(added, failed) {
  if (!failed) return ngettext("%(num)s file added.", "%(num)s files added.", added);
  return ngettext(
    "%(num)s file added, %(failed)s could not be added.",
    "%(num)s files added, %(failed)s could not be added.",
    added,
    { failed },
  );
}

/** @param {number} seconds */
export function durationWords(seconds) {
  if (seconds < 59.5) return ngettext("%(num)s second", "%(num)s seconds", Math.max(1, Math.round(seconds)));
  if (seconds < 3_570) return ngettext("%(num)s minute", "%(num)s minutes", Math.round(seconds / 60));
  return ngettext("%(num)s hour", "%(num)s hours", Math.round(seconds / 3_600));
}

/** @param {number} bytes sent @param {number} total @param {number} speed bytes a second, 0 = not known */
export function progressWords(bytes, total, speed) {
  const percent = `${Math.floor((100 * bytes) / total)}%`;
  return speed > 0
    ? `${percent} · ${sizeWords(speed)}/s · about ${durationWords((total - bytes) / speed)} left`
    : percent;
}

/**
 * Returns the noun with and without its article, for languages with an article such as "a".
 * @param {string} one "visit"
 */
const named = (one) => ({ record: one, a_record: `${/^[aeiou]/i.test(one) ? "an" : "a"} ${one}` });

/** @param {number} count more than one @param {string} one @param {number} most @returns {string} */
export const overflowWords = (count, one, most) =>
  ngettext(
    "%(num)s file doesn’t fit: %(a_record)s can hold %(most)s.",
    "%(num)s files don’t fit: %(a_record)s can hold %(most)s.",
    count,
    { most, ...named(one) },
  );

/** @param {string} one @returns {string} message for a file that was refused because the record was full */
export const roomAgainWords = (one) =>
  _("This %(record)s now has room for this file. Try again to add it.", { record: one });

/** @param {string} one @param {number} free remaining capacity of the record @param {number} most @returns {string} */
export function roomWords(one, free, most) {
  const values = { most, ...named(one) };
  if (free <= 0)
    return _("This %(record)s is full (%(most)s of %(most)s). Move a document to trash, then try again.", values);
  return _("This file doesn’t fit: %(a_record)s can hold %(most)s. Cancel another file, then try again.", values);
}
