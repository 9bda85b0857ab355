/**
 * Translates what scripts say. The messages are in English; a page in another language has their catalog.
 */

/** @typedef {Record<string, string | number>} Values */

const CATEGORIES = ["zero", "one", "two", "few", "many", "other"];
const page = globalThis.document?.querySelector("meta[name=medfiles-messages]");
/**
 * A message with plural forms has the list of them, in the order of CATEGORIES.
 * @type {Record<string, string | string[]>}
 */
const catalog = JSON.parse(page?.getAttribute("content") ?? "{}");
const rules = new Intl.PluralRules(page?.getAttribute("lang") || "en");
/** @type {readonly string[]} */
const used = rules.resolvedOptions().pluralCategories;
const known = CATEGORIES.filter((category) => used.includes(category));

/** @param {string} text @param {Values} values of its placeholders @returns {string} */
export const filled = (text, values) => text.replace(/%\((\w+)\)s/g, (whole, name) => String(values[name] ?? whole));

/** @param {string} message @param {Values} [values] of its %(named)s placeholders */
export const _ = (message, values = {}) => filled(String(catalog[message] ?? message), values);

/**
 * Returns the translation for this count, which is also the placeholder %(num)s.
 * @param {string} one @param {string} many @param {number} count @param {Values} [values]
 */
export function ngettext(one, many, count, values = {}) {
  const forms = catalog[one] ?? [one, many];
  const form = forms[Math.min(known.indexOf(rules.select(count)), forms.length - 1)];
  return filled(form ?? many, { num: count, ...values });
}
