/** The right name for a file, found by its first bytes. */

import assert from "node:assert/strict";
import { test } from "node:test";
import { gather, refusal } from "../../static/js/files.js";
import { belongsToDisc, endingByContent, isDisc, rightName } from "../../static/js/files-types.js";
import { skippedWords } from "../../static/js/upload-words.js";

const ACCEPTS = [".pdf", ".doc", ".docx", ".jpg", ".jpeg", ".png", ".webp", ".dcm", ".heic", ".txt"];
const JPEG = "\xff\xd8\xff\xe0\0\x10JFIF";
const DICOM = `${"\0".repeat(128)}DICM\x02\0`;
const HEIC = "\0\0\0\x18ftypheic\0\0\0\0mif1heic";
const AVIF = "\0\0\0\x1cftypmif1\0\0\0\0mif1avif";

/** @param {string} bytes each character is one @param {string} name */
const file = (bytes, name = "x") => new File([Uint8Array.from(bytes, (letter) => letter.charCodeAt(0))], name);

for (const [bytes, ending] of /** @type {[string, string][]} */ ([
  [JPEG, ".jpg"],
  [DICOM, ".dcm"],
  [`II*\0${"\0".repeat(124)}DICM`, ".dcm"],
  ["II*\0", ".tiff"],
  ["\x89PNG\r\n\x1a\n", ".png"],
  ["RIFF\x10\0\0\0WEBPVP8 ", ".webp"],
  ["GIF89a", ".gif"],
  ["%PDF-1.7\n", ".pdf"],
  ["\r\n%PDF-1.4\n", ".pdf"],
  ["\xef\xbb\xbf%PDF-1.4\n", ".pdf"],
  [HEIC, ".heic"],
  [AVIF, ""],
  [`PK\x03\x04${"\0".repeat(60)}word/document.xml`, ".docx"],
  ["PK\x03\x04 other", ""],
  [`\xd0\xcf\x11\xe0${"\0".repeat(60)}${"WordDocument".split("").join("\0")}`, ".doc"],
  ["Fasting glucose 5.1", ".txt"],
  ["Fasting glucose 5.1\n\x1a", ".txt"],
  ["<!doctype html><p>", ""],
  ["#!/bin/sh", ""],
  ["\x01\x02\x03", ""],
  ["", ""],
]))
  test(`${JSON.stringify(bytes.slice(-20))} is ${ending || "not known"}`, async () => assert.equal(await endingByContent(file(bytes)), ending));

test("a file that cannot be read has no known type", async () => {
  const lost = Object.assign(file(JPEG), { slice: () => ({ arrayBuffer: () => Promise.reject(new DOMException("lost")) }) });
  assert.equal(await endingByContent(lost), "");
});

for (const [name, found, right] of [
  ["IM000001", ".dcm", "IM000001.dcm"],
  ["I0000042.", ".dcm", "I0000042.dcm"],
  ["1.2.840.113619.2.55", ".dcm", "1.2.840.113619.2.55.dcm"],
  ["scan.ima", ".dcm", "scan.dcm"],
  ["IM1.dcm;1", ".dcm", "IM1.dcm"],
  ["1000012345", ".jpg", "1000012345.jpg"],
  ["photo.jfif", ".jpg", "photo.jpg"],
  ["IMG_1.HEIC", ".jpg", "IMG_1.jpg"],
  ["report.pdf.download", ".pdf", "report.pdf"],
  ["notes.text", ".txt", "notes.txt"],
  ["notes", ".txt", "notes.txt"],
  ["photo.jpeg", ".jpg", ""],
  ["photo.jpg", ".jpg", ""],
  ["values.txt", ".txt", ""],
  ["letter.doc", ".txt", ""],
  ["page.html", ".txt", ""],
  ["run.bat", ".txt", ""],
  ["song.mp3", ".txt", ""],
  ["scan", ".tiff", ""],
  ["scan.pdf", "", ""],
])
  test(`${name} with the content of a ${found} file becomes ${right || "nothing else"}`, () => assert.equal(rightName(name, found, ACCEPTS), right));

test("a file is checked under its new name", () => {
  const rules = { accepts: ACCEPTS, acceptsWords: "PDF or text", maxSize: 100, one: "visit" };
  assert.equal(refusal(file(DICOM.slice(40), "IM1"), rules)?.code, "type-not-allowed");
  assert.equal(refusal(file(DICOM.slice(40), "IM1"), rules, "IM1.dcm"), null);
});

test("the files of a disc that are not documents are named in one line", () => {
  const disc = ["DICOMDIR", "AUTORUN.INF", "viewer.exe", "qt.dll", "IM000001"].map((name) => file("", name));
  const skipped = disc.filter((each) => belongsToDisc(each, each.name.startsWith("IM"))).map(({ name }) => name);
  assert.equal(isDisc(disc), true);
  assert.equal(isDisc(disc.slice(1)), false);
  assert.equal(skippedWords(skipped), "Skipped 4 files of the disc that are not documents: DICOMDIR, AUTORUN.INF, viewer.exe and 1 more.");
  assert.equal(skippedWords(["DICOMDIR"]), "Skipped 1 file of the disc that is not a document: DICOMDIR.");
});

test("an attachment dragged from a mail program is taken even if its entry cannot be read", async () => {
  const letter = file("%PDF-1.4", "Letter.pdf");
  const entry = { isFile: true, fullPath: "/Letter.pdf", file: (/** @type {unknown} */ _, /** @type {(error: DOMException) => void} */ fail) => fail(new DOMException("no")) };
  const items = [{ kind: "file", webkitGetAsEntry: () => entry, getAsFile: () => letter }];
  /** @type {string[]} */
  const unread = [];
  assert.deepEqual(await gather(/** @type {any} */ ({ items }), (path) => unread.push(path)), [letter]);
  assert.deepEqual(unread, []);
});
