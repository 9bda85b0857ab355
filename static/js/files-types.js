/**
 * The type of a file by its first bytes, as far as needed to offer the right name. The server decides.
 */

import { cleaned, endingOf } from "./files-names.js";

const HEAD = 4096;
const TAIL = 65_536;
const TEXT = ".txt";

/** Endings in use for each type; the first is the usual one. */
const TYPES = [
  [".pdf"],
  [".jpg", ".jpeg", ".jfif", ".jpe", ".jif", ".jfi", ".pjpeg", ".mpo"],
  [".png", ".apng"],
  [".webp"],
  [".tiff", ".tif"],
  [".bmp", ".dib"],
  [".gif"],
  [".heic", ".heif", ".hif", ".heics", ".heifs"],
  [".dcm", ".dicom", ".ima", ".dic"],
  [".docx"],
  [".xlsx"],
  [".doc"],
  [".xls"],
  [".csv", ".tsv", ".tab"],
  [".json"],
  [".xml"],
  [TEXT, ".text"],
];
const UNFINISHED = /(?:;\d{1,5}|\.(?:download|crdownload|opdownload|part|partial|tmp))$/i;
const OTHER_FORMAT =
  /^\.(mp[34]|m4a|wav|ogg|flac|mov|avi|mkv|webm|zip|rar|7z|gz|tar|iso|dmg|apk|dll|bin|pptx?|od[tsp]|pages|psd|ai|eps)$/;
const PAGES = ["htm", "html", "xhtml", "shtml", "mht", "mhtml", "svg", "asp", "jsp", "php", "url"];
const PROGRAMS = ["bat", "cmd", "com", "exe", "hta", "jar", "js", "jse", "lnk", "msi", "ps1", "reg", "scr", "sh"];
const NEVER_TEXT = [...PAGES, ...PROGRAMS, "vbe", "vbs", "wsf", "wsh"].map((name) => `.${name}`);
/** @type {[number, RegExp, string][]} offset, first bytes and the usual ending */
const SIGNATURES = [
  [0, /^\xff\xd8\xff/, ".jpg"],
  [0, /^\x89PNG\r\n\x1a\n/, ".png"],
  [0, /^RIFF[^]{4}WEBP/, ".webp"],
  [0, /^GIF8[79]a/, ".gif"],
  [0, /^BM[^]{12}[\x0c\x10\x28\x34\x38\x40\x6c\x7c]\0\0\0/, ".bmp"],
  [0, /^\0[^]{3}ftyp(?:hei[cxms]|hev[cxms]|mif1|msf1)(?![^]{4}[^]{0,40}avif)/, ".heic"],
  [128, /^DICM/, ".dcm"],
  [0, /^(?:II[*+]\0|MM\0[*+])/, ".tiff"],
  [0, /^(?:\xef\xbb\xbf)?[\s\0\x20-\x7e]{0,1024}%PDF-\d/, ".pdf"],
];

/** @param {string} ending @returns {readonly string[]} all endings of its type */
export const sameType = (ending) => TYPES.find((endings) => endings.includes(ending)) ?? [ending];

/** @param {Blob} blob @returns {Promise<string>} each byte as a character */
async function letters(blob) {
  return Array.from(new Uint8Array(await blob.arrayBuffer()), (byte) => String.fromCharCode(byte)).join("");
}

/**
 * Returns the usual ending of a file's type, or "" if it is not known or the file cannot be read.
 * @param {File} file
 */
export async function endingByContent(file) {
  try {
    const head = await letters(file.slice(0, HEAD));
    const known = SIGNATURES.find(([offset, first]) => first.test(head.slice(offset)));
    if (known) return known[2];
    if (head.startsWith("PK\x03\x04")) return await packageEnding(file);
    if (head.startsWith("\xd0\xcf\x11\xe0")) return await olderEnding(file);
    return isText(head) ? TEXT : "";
  } catch {
    return ""; // the upload will say why
  }
}

/** @param {File} file a ZIP @returns {Promise<string>} */
async function packageEnding(file) {
  const directory = await letters(file.slice(Math.max(0, file.size - TAIL)));
  if (/word[/\\]document\d*\.xml/i.test(directory)) return ".docx";
  return /xl[/\\]workbook\d*\.xml/i.test(directory) ? ".xlsx" : "";
}

/** @param {File} file of an older version of Office @returns {Promise<string>} */
async function olderEnding(file) {
  const ends = [file.slice(0, 16 * TAIL), file.slice(Math.max(0, file.size - TAIL))];
  const names = (await Promise.all(ends.map(letters))).join("").replaceAll("\0", "");
  if (names.includes("EncryptedPackage")) return "";
  if (names.includes("WordDocument")) return ".doc";
  return names.includes("Workbook") ? ".xls" : "";
}

/** @param {string} head */
function isText(head) {
  const end = head.replace(/[\0\x1a]+$/, "");
  if (/^\s*<(?:!doctype|html|svg|script)/i.test(end) || /^(?:#!\s*\/|%!PS|\{\\rtf|\x7fELF)/.test(end)) return false;
  return end.length > 0 && !/[\0-\x08\x0e-\x1a\x1c-\x1f]/.test(end);
}

/**
 * Returns the name under which the server will accept a file, or "" if it is not known or is the present one.
 * @param {string} name @param {string} found the usual ending for its content @param {readonly string[]} accepts
 * @returns {string}
 */
export function rightName(name, found, accepts) {
  const ending = endingOf(name.replace(UNFINISHED, ""));
  const types = sameType(found);
  const fits = types.includes(ending) && accepts.includes(ending);
  if (!found || (fits && endingOf(name) === ending)) return "";
  const isOther = NEVER_TEXT.includes(ending) || OTHER_FORMAT.test(ending);
  if (found === TEXT && (accepts.includes(endingOf(name)) || isOther)) return "";
  const right = fits ? ending : types.find((each) => accepts.includes(each));
  return right ? withEnding(cleaned(name), right) : "";
}

/** @param {string} name @param {string} ending @returns {string} with this ending in place of a missing or wrong one */
export function withEnding(name, ending) {
  let stem = name.replace(UNFINISHED, "");
  if (endingOf(stem) === ending) return stem;
  if (TYPES.some((endings) => endings.includes(endingOf(stem)))) stem = stem.slice(0, stem.lastIndexOf("."));
  return endingOf(stem) === ending ? stem : stem + ending;
}

/* CDs with X-ray images */

const INDEX = /^DICOMDIR$/i;
const PROGRAM = /\.(?:exe|dll|inf|ini|ico|cab|msi|bat|cmd|ocx|sys|dat|jar|css|js|html?|cfg|config|lnk|db)$/i;

/** @param {File[]} files @returns {boolean} whether they come from a CD with images */
export const isDisc = (files) => files.some(({ name }) => INDEX.test(name));

/**
 * Returns whether a file is the table of contents of a CD, or belongs to the program that shows its images.
 * @param {File} file @param {boolean} isImage
 */
export function belongsToDisc({ name }, isImage) {
  return INDEX.test(name) || (!isImage && (/^autorun\./i.test(name) || PROGRAM.test(name)));
}
