/**
 * Where a file can be put that its record does not take, or not as it is: the inbox or the general documents of the
 * patient.
 */
import { isOnDevice, refusal, sizeWords } from "./files.js";
import { _, ngettext } from "./i18n.js";
import { withQuery } from "./transfer.js";
import { fields } from "./upload-row.js";

/** @typedef {import("./upload-item.js").Item} Item */
/**
 * @typedef {object} Patient the patient's own documents, next to those of the record
 * @property {string} name
 * @property {string} upload
 * @property {string} bulk
 * @property {string} page
 * @property {string} inbox
 * @property {string[]} accepts
 * @property {string} acceptsWords
 * @property {number} maxSize
 * @property {string} one
 */
/**
 * @typedef {object} Place instead of the record
 * @property {string} upload
 * @property {string} bulk
 * @property {string} page that shows the documents
 * @property {string} name of the patient
 * @property {boolean} isInbox
 * @property {number} added
 */

/** @param {Item} item @returns {{ upload: string, bulk: string }} where it goes */
export const placeOf = ({ to, widget }) => to ?? widget;

/** @param {Item} item @returns {import("./upload-row.js").Fields} */
export function detailsOf({ row, to }) {
  const { category = "", ...others } = fields(row);
  return to ? others : { category, ...others }; // other places have other categories
}

/** @param {Patient} patient @returns {Place} */
export const generalOf = ({ name, upload, bulk, page }) => ({ upload, bulk, page, name, isInbox: false, added: 0 });

/** @param {Pick<Patient, "name" | "upload" | "bulk" | "inbox">} patient @returns {Place} */
export const inboxOf = ({ name, upload, bulk, inbox }) => ({
  upload: withQuery(upload, { to_file: "1" }),
  bulk,
  page: inbox,
  name,
  isInbox: true,
  added: 0,
});

/** @param {Item} item @returns {File | undefined} what the patient's inbox takes of it: the original, if it can */
export function forInbox({ file, original, to, widget: { mode, patient } }) {
  if (to || !patient || mode !== "view") return undefined;
  return [original, file].find((one) => one && !refusal(one, patient)) ?? undefined;
}

/** @param {number} count @param {string} name */
export const offerWords = (count, name) =>
  ngettext(
    "Put %(num)s file into the inbox of %(name)s",
    "Put %(num)s files into the inbox of %(name)s",
    count,
    { name },
  );

/** @param {Item} item @returns {boolean} whether the original of a reduced photo can still be added for the patient */
export function canKeepOriginal({ original, isKept, widget: { patient } }) {
  return !!original && !isKept && !!patient && !refusal(original, patient);
}

/** @param {Item} item @returns {string} how the file was changed, and where its original is */
export function noteWords(item) {
  const { file, original, isKept, widget } = item;
  if (!original) return "";
  const [from, to, name] = [sizeWords(original.size), sizeWords(file.size), widget.patient?.name ?? ""];
  const told = _("Reduced from %(from)s to %(to)s to fit.", { from, to });
  if (isKept) return told;
  if (canKeepOriginal(item))
    return `${told} ${_("The original fits into the general documents of %(name)s.", { name })}`;
  return `${told} ${isOnDevice(original) ? _("The original stays on your device.") : _("The original is not kept.")}`;
}

/** @param {Place} place @returns {string} */
export function addedWords({ added, name, isInbox }) {
  const general = ngettext(
    "%(num)s file added to the general documents of %(name)s.",
    "%(num)s files added to the general documents of %(name)s.",
    added,
    { name },
  );
  const inbox = ngettext(
    "%(num)s file added to the inbox of %(name)s.",
    "%(num)s files added to the inbox of %(name)s.",
    added,
    { name },
  );
  return isInbox ? inbox : general;
}
