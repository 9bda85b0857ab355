/** Clicks on destructive controls right after a page change. */

import assert from "node:assert/strict";
import { test } from "node:test";
import { guard } from "../../static/js/guard.js";

const danger = { closest: (/** @type {string} */ selector) => (selector.includes(".mf-danger") ? danger : null) };
const harmless = { closest: () => null };
const click = (/** @type {any} */ target, detail = 1) => ({ target, detail });

function atTime() {
  const clock = { time: 5_000 };
  return { clock, watch: guard(() => clock.time) };
}

test("a click within the first second is ignored on a destructive control only", () => {
  const { clock, watch } = atTime();
  clock.time += 999;
  assert.deepEqual([watch.ignores(click(danger)), watch.ignores(click(harmless))], [true, false]);
  clock.time += 1;
  assert.equal(watch.ignores(click(danger)), false);
});

test("the keyboard is never ignored", () => {
  const { watch } = atTime();
  assert.equal(watch.ignores(click(danger, 0)), false);
});

test("another page change begins another second", () => {
  const { clock, watch } = atTime();
  clock.time += 60_000;
  assert.equal(watch.ignores(click(danger)), false);
  watch.restart();
  assert.equal(watch.ignores(click(danger)), true);
});
