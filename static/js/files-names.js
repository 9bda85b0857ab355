/**
 * File names: path, order and extension.
 */

const UNSEEN = /[\p{Cc}\p{Cs}\p{Bidi_Control}\u2028\u2029\ufeff]/gu;

/** @type {WeakMap<File, string>} path of a dropped file, whose webkitRelativePath is empty */
const paths = new WeakMap();

/** @param {File} file @param {string} path */
export const lay = (file, path) => paths.set(file, path);

const { compare } = new Intl.Collator(undefined, { numeric: true });

/** @param {File} file @returns {string[]} */
export const pathOf = (file) => (paths.get(file) ?? (file.webkitRelativePath || file.name)).split("/").filter(Boolean);

/** @param {readonly File[]} files @returns {File[]} sorted by path, with "Scan 2" before "Scan 10" */
export function inOrder(files) {
  const known = new Map(files.map((file) => [file, pathOf(file)]));
  return [...files].sort((one, other) => byPath(known.get(one) ?? [], known.get(other) ?? []));
}

/** @param {string[]} one @param {string[]} other @returns {number} */
function byPath(one, other) {
  const at = one.findIndex((part, index) => part !== other[index]);
  return at < 0 ? one.length - other.length : compare(one[at] ?? "", other[at] ?? "");
}

/**
 * @param {string} name
 * @returns {string} the name as the server will store it, except that the server also shortens long names
 */
export function cleaned(name) {
  const parts = name.replace(UNSEEN, "").normalize("NFC").replace(/\s+/g, " ").split(/[/\\]/);
  const last = parts.findLast((part) => part.trim()) ?? "";
  return last.replace(/^(?:[ .]|[a-z]:(?=\S))+/i, "").replace(/[ .]+$/, "");
}

/** @param {string} name @returns {string} the extension in lower case, with its dot; "" if there is none */
export const endingOf = (name) => /.(\.[^.]*)$/s.exec(cleaned(name))?.[1]?.toLowerCase() ?? "";
