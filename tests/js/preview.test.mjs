/** The arithmetic of the preview: sizes, pages, addresses of pictures. */

import assert from "node:assert/strict";
import { test } from "node:test";
import { address, around, eachAddress, fitted, pageAt, pageOf, pinched, reach, step, turned, wheeled } from "../../static/js/preview-zoom.js";

const ROOM = { width: 1000, height: 600 };
const A4 = { width: 794, height: 1123 };
const AT = "/documents/files/7/pictures/abc-v1w960";

test("a page is fitted whole or by its width", () => {
  assert.equal(fitted("page", ROOM, A4), 600 / 1123);
  assert.equal(fitted("width", ROOM, A4), 1000 / 794);
  assert.equal(fitted("actual", ROOM, A4), 1);
});

test("a small picture is not blown up, unless it is to be read", () => {
  const small = { width: 100, height: 50 };
  assert.equal(fitted("page", ROOM, small), 1);
  assert.equal(fitted("page", ROOM, small, true), 8);
  assert.equal(fitted("page", { width: 500, height: 500 }, { width: 250, height: 100 }, true), 2);
});

test("a size that is not known is shown as it is", () => assert.equal(fitted("page", ROOM, { width: 0, height: 0 }), 1));

test("zooming goes through round sizes and stops at the ends", () => {
  assert.deepEqual([step(0.534, 1), step(0.534, -1), step(1, 1), step(1, -1)], [0.67, 0.5, 1.25, 0.75]);
  assert.deepEqual([step(8, 1), step(0.1, -1)], [8, 0.1]);
});

test("a quarter of a turn swaps the sides", () => {
  assert.deepEqual([0, 1, 2, 3].map((quarters) => turned(A4, quarters).width), [794, 1123, 794, 1123]);
});

test("two fingers have a distance and a middle", () => {
  assert.deepEqual(pinched([{ x: 0, y: 0 }, { x: 30, y: 40 }]), { apart: 50, middle: { x: 15, y: 20 } }); // prettier-ignore
  assert.equal(pinched([{ x: 3, y: 3 }]).apart, 0);
});

test("a wheel turned there and back ends where it began", () => {
  assert.ok(Math.abs(wheeled(40) * wheeled(-40) - 1) < 1e-9);
  assert.ok(wheeled(-40) > 1 && wheeled(40) < 1);
  assert.equal(wheeled(100_000), wheeled(60));
});

test("a page is what was typed, within the document, else the one shown", () => {
  assert.deepEqual(["7", " 12 ", "0", "-4", "999", "3rd", "x", ""].map((text) => pageOf(text, 300, 5)), [7, 12, 1, 1, 300, 3, 5, 5]);
});

test("of a long document the pages around this one are kept", () => {
  assert.deepEqual(around(1, 300, 400), [1, 300]);
  assert.deepEqual(around(1, 20_000, 400), [1, 400]);
  assert.deepEqual(around(5000, 20_000, 400), [4800, 5199]);
  assert.deepEqual(around(20_000, 20_000, 400), [19_601, 20_000]);
});

test("the page that is read is the one whose end has not been passed", () => {
  const edges = [100, 200, 300];
  assert.deepEqual([0, 99, 100, 250, 300, 900].map((at) => pageAt(edges, at)), [0, 0, 1, 2, 2, 2]);
  assert.equal(pageAt([], 10), 0);
});

test("the address of another page and window is made out of the one that is there", () => {
  assert.equal(address(`${AT}/1.webp`, 12), `${AT}/12.webp`);
  assert.equal(address(`${AT}/1.webp`, 1, [40, 400]), `${AT}c40x400/1.webp`);
  assert.equal(address(`${AT}/1.webp`, 3, [-600.5, 1500.1254]), `${AT}cn600p5x1500p125/3.webp`);
  assert.equal(address(`${AT}c40x400/1.webp`, 2), `${AT}c40x400/2.webp`);
  assert.equal(address(`${AT}c40x400/1.webp`, 2, null), `${AT}/2.webp`);
  assert.equal(address(`${AT}/1.webp`, 1, [-0.0001, 1]), `${AT}c0x1/1.webp`);
});

test("every address of a set is changed and no width", () => {
  assert.equal(eachAddress("/a/1.webp 480w, /b/1.webp 960w", (url) => url.replace("1.webp", "2.webp")), "/a/2.webp 480w, /b/2.webp 960w");
});

test("sliders reach as far as the windows of the file do", () => {
  assert.deepEqual(reach([[40, 400], [-600, 1500]]), { center: [-2100, 900], width: [1, 6000] }); // prettier-ignore
});
