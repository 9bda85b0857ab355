/** Messages of scripts: in English without a catalog, with the right plural form with one. */

import assert from "node:assert/strict";
import { test } from "node:test";

const CATALOG = { "%(name)s added.": "Dodano: %(name)s.", "%(num)s file": ["%(num)s plik", "%(num)s pliki", "%(num)s plików"] };

/** @param {string} [lang] @param {object} [catalog] @returns {Promise<typeof import("../../static/js/i18n.js")>} */
function loaded(lang, catalog) {
  const attributes = /** @type {Record<string, string | undefined>} */ ({ lang, content: JSON.stringify(catalog) });
  const meta = { getAttribute: (/** @type {string} */ name) => attributes[name] };
  Object.assign(globalThis, { document: { querySelector: () => (catalog ? meta : null) } });
  return import(`../../static/js/i18n.js?${lang}`);
}

test("without a catalog messages are in English", async () => {
  const { _, ngettext } = await loaded();
  assert.equal(_("%(name)s added.", { name: "a.pdf" }), "a.pdf added.");
  assert.equal(_("100%"), "100%");
  assert.deepEqual([1, 2].map((count) => ngettext("%(num)s file", "%(num)s files", count)), ["1 file", "2 files"]);
});

test("a catalog translates messages and chooses the plural form", async () => {
  const { _, ngettext } = await loaded("pl", CATALOG);
  assert.equal(_("%(name)s added.", { name: "a.pdf" }), "Dodano: a.pdf.");
  assert.equal(_("Not translated"), "Not translated");
  const words = [1, 2, 5, 22].map((count) => ngettext("%(num)s file", "%(num)s files", count));
  assert.deepEqual(words, ["1 plik", "2 pliki", "5 plików", "22 pliki"]);
});
