/** What comes out of picker, drop, paste and camera, and what is refused before a byte is sent. */

import assert from "node:assert/strict";
import { test } from "node:test";
import { canShrink, gather, inOrder, pasted, photo, refusal, sizeWords, smaller, visible } from "../../static/js/files.js";
import { takenAt, withTaken } from "../../static/js/files-taken.js";

const MB = 1024 * 1024;
const RULES = { accepts: [".pdf", ".jpg", ".jpeg", ".heic"], acceptsWords: "PDF, JPG or HEIC", maxSize: 15 * MB, one: "visit" };

/** @param {string} name @param {number} size @param {string} type @returns {File} */
const made = (name, size = 1, type = "") => new File([new Uint8Array(size)], name, { type });
/** @param {readonly File[]} files @returns {string[]} */
const names = (files) => files.map(({ name }) => name);

/** @typedef {{ [name: string]: Tree | "unreadable" | "" }} Tree a folder by the names in it */

/** @param {string} path @param {Tree | "unreadable" | ""} what @returns {FileSystemEntry} as a browser hands out what was dropped */
function entry(path, what) {
  const name = path.slice(path.lastIndexOf("/") + 1);
  const problem = new DOMException("It went away.", "NotReadableError");
  /** @type {(done: (file: File) => void, failed: (error: DOMException) => void) => void} */
  const file = (done, failed) => (what === "unreadable" ? failed(problem) : done(made(name)));
  return /** @type {any} */ ({ fullPath: path, isFile: typeof what === "string", file, createReader: () => reader(path, what, problem) });
}

/** @param {string} path @param {Tree | string} tree @param {DOMException} problem */
function reader(path, tree, problem) {
  const left = Object.entries(tree).map(([name, what]) => entry(`${path}/${name}`, what));
  /** @type {(done: (some: FileSystemEntry[]) => void, failed: (error: DOMException) => void) => void} */
  const readEntries = (done, failed) => (left.some((one) => one.fullPath.endsWith("/lost")) ? failed(problem) : done(left.splice(0, 100)));
  return { readEntries };
}

/** @param {Tree} tree @returns {DataTransfer} */
function dropped(tree) {
  const items = Object.entries(tree).map(([name, what]) => ({ kind: "file", webkitGetAsEntry: () => entry(`/${name}`, what) }));
  return /** @type {any} */ ({ items: [{ kind: "string" }, ...items] });
}

/** @param {File[]} files @param {string} text @returns {ClipboardEvent} */
const clipboard = (files, text = "") => /** @type {any} */ ({ clipboardData: { files, getData: () => text } });

for (const [bytes, expected] of /** @type {[number, string][]} */ ([
  [0, "0 bytes"],
  [1, "1 byte"],
  [1023, "1,023 bytes"],
  [1024, "1 KB"],
  [1280, "1.2 KB"],
  [10.5 * 1024, "10 KB"],
  [11.5 * 1024, "12 KB"],
  [MB - 1, "1,024 KB"],
  [1.8 * MB, "1.8 MB"],
  [1.75 * MB, "1.8 MB"],
  [15 * MB, "15 MB"],
]))
  test(`${bytes} bytes read as ${expected}`, () => assert.equal(sizeWords(bytes), expected));

test("numbers in names count as numbers", () => {
  assert.deepEqual(names(inOrder(["Scan 10.pdf", "scan 2.pdf", "Scan 1.pdf"].map((name) => made(name)))), [
    "Scan 1.pdf",
    "scan 2.pdf",
    "Scan 10.pdf",
  ]);
});

test("files in folders are ordered folder by folder", async () => {
  const files = await gather(dropped({ "MRI 2": { "1.pdf": "" }, MRI: { "9.pdf": "", "10.pdf": "" }, "Letter.pdf": "" }));
  assert.deepEqual(names(inOrder(files)), ["Letter.pdf", "9.pdf", "10.pdf", "1.pdf"]);
});

test("ordering leaves the given list as it was", () => {
  const given = [made("b.pdf"), made("a.pdf")];
  inOrder(given);
  assert.deepEqual(names(given), ["b.pdf", "a.pdf"]);
});

test("a dropped folder gives all files in it, however many", async () => {
  const many = Object.fromEntries(Array.from({ length: 250 }, (_, index) => [`${index}.pdf`, /** @type {const} */ ("")]));
  const files = await gather(dropped({ Scans: { ...many, Older: { "one.pdf": "" } }, "Letter.pdf": "" }));
  assert.equal(new Set(names(files)).size, 252);
});

test("what a system hides in folders is left out of a drop", async () => {
  const folder = /** @type {const} */ ({ ".DS_Store": "", "Thumbs.db": "", "desktop.ini": "", ".git": { config: "" }, "a.pdf": "" });
  assert.deepEqual(names(await gather(dropped({ Scans: folder }))), ["a.pdf"]);
});

test("a file that begins with a dot is not swallowed when somebody dropped that very file", async () => {
  assert.deepEqual(names(await gather(dropped({ ".Letter.pdf": "", ".DS_Store": "" }))), [".Letter.pdf"]);
});

test("a folder or file that cannot be read is named and loses none of the others", async () => {
  /** @type {string[]} */
  const unread = [];
  const tree = dropped({ Scans: { Gone: { lost: "" }, "a.pdf": "unreadable", "b.pdf": "" }, "c.pdf": "" });
  assert.deepEqual(names(await gather(tree, (path) => unread.push(path))), ["b.pdf", "c.pdf"]);
  assert.deepEqual(unread, ["Scans/Gone", "Scans/a.pdf"]);
});

test("a drop without folders behind it gives its files", async () => {
  const items = [{ kind: "file", webkitGetAsEntry: () => null, getAsFile: () => made("a.pdf") }];
  assert.deepEqual(names(await gather(/** @type {any} */ ({ items }))), ["a.pdf"]);
});

test("what a system hides is left out of a picked folder", () => {
  const files = ["Scans/a.pdf", "Scans/.DS_Store", "Scans/.cache/b.pdf", "Scans/~$Letter.docx"].map((path) =>
    Object.defineProperty(made(path.slice(path.lastIndexOf("/") + 1)), "webkitRelativePath", { value: path }),
  );
  assert.deepEqual(names(visible(files)), ["a.pdf"]);
});

test("a pasted screenshot is called by when it was pasted", () => {
  const [shot] = pasted(clipboard([made("image.png", 3, "image/png")]));
  assert.match(shot.name, /^Pasted \d{4}-\d\d-\d\d \d\d\.\d\d\.\d\d( \(\d+\))?\.png$/);
  assert.deepEqual([shot.size, shot.type], [3, "image/png"]);
});

test("two screenshots of one second stay apart", () => {
  const shots = [1, 2, 3].flatMap(() => pasted(clipboard([made("image.png", 1, "image/png")])));
  assert.equal(new Set(names(shots)).size, 3);
});

test("a pasted file keeps its name, even when its name is pasted as text", () => {
  assert.deepEqual(names(pasted(clipboard([made("Letter.pdf"), made("b.pdf")], "Letter.pdf"))), ["Letter.pdf", "b.pdf"]);
});

test("pasted text is left alone", () => assert.deepEqual(pasted(clipboard([], "aspirin")), []));

test("pasted text is left alone when a picture of it comes along", () => {
  assert.deepEqual(pasted(clipboard([made("image.png", 9, "image/png")], "Sodium\t140")), []);
});

test("a camera's picture is called by when it was taken and keeps its bytes", async () => {
  const taken = new Date(2026, 10, 23, 14, 5, 7).getTime();
  const named = photo(new File(["JPEG"], "image.jpg", { type: "image/jpeg", lastModified: taken }));
  assert.deepEqual([named.name, named.type, named.lastModified], ["Photo 2026-11-23 14.05.07.jpg", "image/jpeg", taken]);
  assert.equal(await named.text(), "JPEG");
});

test("two photos of one second stay apart", () => {
  const taken = new Date(2026, 0, 2, 3, 4, 5).getTime();
  const photos = [1, 2].map(() => photo(new File(["x"], "image.heic", { type: "image/heic", lastModified: taken })));
  assert.deepEqual(names(photos), ["Photo 2026-01-02 03.04.05.heic", "Photo 2026-01-02 03.04.05 (2).heic"]);
});

test("a file within the rules is not refused", () => assert.equal(refusal(made("Letter.PDF", 15 * MB), RULES), null));

for (const name of [" Letter.pdf ", "Letter.pdf.", "Letter\u202e.pdf", "Brief März.pdf", "..a.pdf"])
  test(`the ending of ${JSON.stringify(name)} is found as the server finds it`, () => assert.equal(refusal(made(name), RULES), null));

for (const [name, code, said] of [
  ["run.exe", "type-not-allowed", ".exe files can’t be added to this visit. You can add PDF, JPG or HEIC."],
  ["Letter", "type-not-allowed", "Files without an extension such as .pdf can’t be added to this visit. You can add PDF, JPG or HEIC."],
  [".pdf", "type-not-allowed", "Files without an extension such as .pdf can’t be added to this visit. You can add PDF, JPG or HEIC."],
  [" . ", "bad-name", "This file has no usable name. Rename it, then select it again."],
  ["\u200f\u202e", "bad-name", "This file has no usable name. Rename it, then select it again."],
])
  test(`${JSON.stringify(name)} is refused as ${code}`, () => assert.deepEqual(refusal(made(name), RULES), { code, message: said }));

test("an empty file is refused", () => assert.equal(refusal(made("Letter.pdf", 0), RULES)?.code, "empty-file"));

test("a file over the limit is refused with both sizes", () => {
  assert.deepEqual(refusal(made("Letter.pdf", 21 * MB), RULES), {
    code: "too-large",
    message: "This file is 21 MB. The limit is 15 MB. Make it smaller or split it, then try again.",
  });
});

test("a file one byte over the limit is not said to have the size that is allowed", () => {
  assert.equal(refusal(made("Photo.jpg", 15 * MB + 1), RULES)?.message, "This photo is slightly over 15 MB. The limit is 15 MB.");
});

for (const name of ["a.jpg", "a.JPEG", "a.png", "IMG_1.HEIC", "a.webp"])
  test(`${name} can be made smaller`, () => assert.equal(canShrink(made(name), RULES.accepts), true));

for (const name of ["Scan.gif", "Scan.tiff", "Letter.pdf", "MRI.dcm", "jpg"])
  test(`${name} is never made smaller`, () => assert.equal(canShrink(made(name), [...RULES.accepts, ".gif", ".tiff", ".dcm"]), false));

test("a photo is not made smaller when its JPEG could not be added", () => {
  assert.equal(canShrink(made("IMG_1.HEIC"), [".pdf", ".heic"]), false);
});

test("a scan that is only named .jpg stays as it is", async () => {
  const scan = new File(["II*\0 and more"], "Scan.jpg");
  await assert.rejects(smaller(scan, MB), { message: "This is not a photo. Make it smaller on your device, then select it again." });
});

for (const [format, head] of Object.entries({ PNG: "\x89PNG\r\n\x1a\n\0\0\0\rIHDR and acTL", WebP: "RIFF1234WEBPVP8X and ANIM" }))
  test(`an animated ${format} stays as it is`, async () => {
    const bytes = Uint8Array.from(head, (sign) => sign.charCodeAt(0));
    await assert.rejects(smaller(new File([bytes], "Heart.webp"), MB), { message: /^This is not a photo\./ });
  });

/** @param {string} order "II" or "MM" @param {string} date @returns {Uint8Array<ArrayBuffer>} Exif data with more than the date in it */
function exif(order, date) {
  const [view, little] = [new DataView(new ArrayBuffer(120)), order === "II"];
  const entry = (/** @type {number} */ at, /** @type {number[]} */ [tag = 0, type = 0, count = 0, value = 0]) => {
    [tag, type].forEach((number, index) => view.setUint16(at + 2 * index, number, little));
    [count, value].forEach((number, index) => view.setUint32(at + 4 + 4 * index, number, little));
  };
  const put = (/** @type {number} */ at, /** @type {string} */ text) => [...text].forEach((sign, index) => view.setUint8(at + index, sign.charCodeAt(0)));
  put(0, order);
  view.setUint16(2, 42, little);
  view.setUint32(4, 8, little);
  view.setUint16(8, 2, little);
  entry(10, [0x0132, 2, 20, 80]);
  entry(22, [0x8769, 4, 1, 40]);
  view.setUint16(40, 1, little);
  entry(42, [0x9003, 2, 20, 100]);
  put(80, "2026:11:30 08:00:00");
  put(100, date);
  return new Uint8Array(view.buffer);
}

const TAKEN = "2026:03:12 09:41:00";
for (const [format, mark] of Object.entries({ JPEG: "Exif\0\0", PNG: "eXIf", WebP: "EXIF\x78\0\0\0" }))
  for (const order of ["II", "MM"])
    test(`the day a photo was taken is read from ${format} data in ${order} order, wherever it is`, async () => {
      for (const before of [20, 900_000]) assert.equal(await takenAt(new Blob([new Uint8Array(before), mark, exif(order, TAKEN)])), TAKEN);
    });

test("a photo without a readable date has none", async () => {
  const damaged = exif("II", TAKEN);
  damaged[4] = 250;
  for (const data of [new Uint8Array(9), exif("II", "    :  :     :  :  "), damaged, exif("MM", TAKEN).slice(0, 60)])
    assert.equal(await takenAt(new Blob(["Exif\0\0", data])), "");
});

test("the day is written after the JFIF segment and nothing else changes", async () => {
  const [start, rest] = [Uint8Array.of(0xff, 0xd8, 0xff, 0xe0, 0, 4, 1, 2), Uint8Array.of(0xff, 0xdb, 9, 9)];
  const plain = new Blob([start, rest], { type: "image/jpeg" });
  const dated = await withTaken(plain, TAKEN);
  assert.equal(await takenAt(dated), TAKEN);
  assert.deepEqual(new Uint8Array(await dated.slice(0, 8).arrayBuffer()), start);
  assert.deepEqual(new Uint8Array(await dated.slice(-4).arrayBuffer()), rest);
  assert.equal(new DataView(await dated.arrayBuffer()).getUint16(10) + 2, dated.size - plain.size);
  assert.equal(await withTaken(plain, ""), plain);
});
