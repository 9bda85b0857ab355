/** The upload queue's arithmetic and words: what does not need a browser. */

import assert from "node:assert/strict";
import { test } from "node:test";
import { disposition, newKey, rate, readAnswer, readable, recent, retryAfter, retryable, retryDelay, triggers, withQuery } from "../../static/js/transfer.js";
import { photo } from "../../static/js/files.js";
import { fitting } from "../../static/js/upload-intake.js";
import { barWords, isIdle } from "../../static/js/upload-item.js";
import { addedWords, forInbox, generalOf, inboxOf, noteWords, offerWords } from "../../static/js/upload-places.js";
import { STATES, looks, stateWords, takesPlace } from "../../static/js/upload-states.js";
import { durationWords, overflowWords, progressWords, roomWords, statusWords } from "../../static/js/upload-words.js";

const MB = 1024 * 1024;

/** @param {Record<string, string>} headers @returns {(name: string) => string | null} */
const headers = (headers) => (name) => headers[name] ?? null;
/** @param {object} some @returns {any} a file on its way, as far as a test needs it */
const item = (some) => ({ state: "queued", words: "", task: "send", request: null, samples: [], due: 0, widget: { mode: "view" }, file: { size: MB }, ...some });

test("the delay doubles with each try and stays under half a minute", () => {
  const longest = [1, 2, 3, 4, 5, 6, 20].map((tries) => retryDelay(tries, 0, 1));
  assert.deepEqual(longest, [1_000, 2_000, 4_000, 8_000, 16_000, 30_000, 30_000]);
});

test("delays are spread so that many browsers do not come back at once", () => {
  assert.equal(retryDelay(4, 0, 0), 6_400);
  assert.equal(new Set(Array.from({ length: 50 }, () => retryDelay(4))).size, 50);
});

test("a server that asks for more time gets it, one that asks for less does not hurry anybody", () => {
  assert.equal(retryDelay(1, 20_000, 1), 20_000);
  assert.equal(retryDelay(5, 1_000, 1), 16_000);
});

test("Retry-After is read as seconds or as a date, and nonsense as nothing", () => {
  const now = Date.parse("2026-11-23T12:00:00Z");
  assert.equal(retryAfter("7", now), 7_000);
  assert.equal(retryAfter("Mon, 23 Nov 2026 12:01:00 GMT", now), 60_000);
  for (const none of [null, "", "soon", "-5", "Mon, 23 Nov 2026 11:00:00 GMT"]) assert.equal(retryAfter(none, now), 0);
});

test("only what may pass by itself is tried again", () => {
  const statuses = [0, 200, 201, 400, 401, 403, 404, 408, 409, 413, 415, 422, 425, 429, 500, 501, 502, 503, 504];
  assert.deepEqual(statuses.filter(retryable), [0, 408, 425, 429, 500, 502, 503, 504]);
});

test("the rate is that of the last three seconds", () => {
  const slow = [0, 1_000, 2_000, 3_000].map((at) => ({ at, bytes: at }));
  const fast = [4_000, 5_000, 6_000].map((at) => ({ at, bytes: 3_000 + (at - 3_000) * 100 }));
  assert.equal(rate(recent([...slow, ...fast], 6_000), 6_000), 100_000);
});

test("a slow connection that moves every few seconds has a rate as well", () => {
  const samples = [0, 4_000, 8_000].map((at) => ({ at, bytes: at }));
  assert.equal(rate(recent(samples, 8_000), 8_000), 1_000);
});

test("a transfer that stands still shows a falling rate", () => {
  const samples = [{ at: 0, bytes: 0 }, { at: 1_000, bytes: MB }];
  assert.equal(rate(samples, 1_000), MB);
  assert.equal(rate(samples, 4_000), MB / 4);
});

test("no rate is made up before half a second has passed", () => {
  assert.equal(rate([], 1_000), 0);
  assert.equal(rate([{ at: 0, bytes: 0 }, { at: 100, bytes: MB }], 100), 0);
});

test("progress is said in percent, rate and time left once they are known", () => {
  assert.equal(progressWords(4.2 * MB, 10 * MB, 0), "42%");
  assert.equal(progressWords(4.2 * MB, 10 * MB, 0.5 * MB), "42% · 512 KB/s · about 12 seconds left");
});

test("a hundred percent is not said before everything is sent", () => {
  assert.equal(progressWords(10 * MB - 1, 10 * MB, 0), "99%");
});

test("time is put in the words people use", () => {
  const words = [0.2, 1, 12.4, 59.4, 59.6, 100, 3_569, 3_600, 9_000].map(durationWords);
  assert.deepEqual(words, ["1 second", "1 second", "12 seconds", "59 seconds", "1 minute", "2 minutes", "59 minutes", "1 hour", "3 hours"]);
});

test("a file's name goes into the header whole, in characters that may stand there", () => {
  assert.equal(disposition("Ärzte (1)'s *neu*.pdf"), "attachment; filename*=UTF-8''%C3%84rzte%20%281%29%27s%20%2Aneu%2A.pdf");
  for (const name of ['a"b\r\nX-Evil: 1.pdf', "发票.pdf", "👩‍⚕️.png", "100%.pdf"]) {
    const value = disposition(name).split("''")[1] ?? "";
    assert.match(value, /^[A-Za-z0-9!#$&+.^_`|~%-]+$/);
    assert.equal(decodeURIComponent(value), name);
  }
});

test("half a character in a name does not stop its upload", () => {
  assert.equal(disposition("a\ud83d.pdf"), "attachment; filename*=UTF-8''a%EF%BF%BD.pdf");
});

test("only what was filled in goes into the address", () => {
  assert.equal(withQuery("/f", { description: "", category: "" }), "/f");
  assert.equal(withQuery("/f", { description: "a & b", category: "" }), "/f?description=a+%26+b");
  assert.equal(withQuery("/f?x=1", { description: "", category: "referral" }), "/f?x=1&category=referral");
});

test("events are read from a header with details, with names only, and from a broken one", () => {
  assert.deepEqual(triggers('{"documents:changed": {"count": 3}}'), { "documents:changed": { count: 3 } });
  assert.deepEqual(triggers("one, two"), { one: {}, two: {} });
  for (const none of [null, "", '{"a":']) assert.deepEqual(triggers(none), {});
});

test("a refusal brings its own sentence and code", () => {
  const answer = readAnswer(409, "", headers({ "HX-Trigger": '{"documents:error": {"message": "No room.", "code": "too-many"}}' }));
  assert.deepEqual([answer.message, answer.code], ["No room.", "too-many"]);
});

test("an answer without a sentence, as a proxy gives it, gets one by its status", () => {
  for (const [status, said] of /** @type {[number, RegExp][]} */ ([[413, /^A proxy .* files of this size/], [403, /^A firewall or proxy .* blocked/]])) {
    const answer = readAnswer(status, "<h1>Blocked</h1>", headers({}));
    assert.match(answer.message, said);
    assert.equal(answer.code, "");
    assert.equal(retryable(status), false);
  }
  for (const status of [502, 503, 504, 520, 521, 522, 523, 524, 530]) assert.equal(retryable(status), true);
  assert.equal(readAnswer(503, "", headers({ "HX-Trigger": '{"documents:error": null}', "Retry-After": "5" })).wait, 5_000);
});

test("every status has words for people, without its number", () => {
  for (let status = 400; status < 600; status++) assert.match(statusWords(status), /^[A-Z][^0-9]+\.$/);
});

test("only as many files fit as there are places left beside those already chosen", () => {
  assert.equal(fitting(5, 0, 3), 3);
  assert.equal(fitting(5, 3, 4), 2);
  assert.equal(fitting(2, 3, 1), 0);
  assert.equal(fitting(Infinity, 40, 100), 100);
});

test("a file too many is told how many fit and what to do", () => {
  assert.equal(roomWords("visit", 2, 8), "This file doesn’t fit: a visit can hold 8. Cancel another file, then try again.");
  assert.equal(roomWords("insurance", 1, 5), "This file doesn’t fit: an insurance can hold 5. Cancel another file, then try again.");
  assert.equal(roomWords("visit", 0, 8), "This visit is full (8 of 8). Move a document to trash, then try again.");
  assert.equal(overflowWords(17, "visit", 8), "17 files don’t fit: a visit can hold 8.");
});

test("what failed, was refused or is done takes no place", () => {
  const states = Object.keys(STATES).filter((state) => takesPlace(item({ state })));
  assert.deepEqual(states, ["reducing", "held", "queued", "sending", "processing", "waiting", "paused"]);
  assert.equal(takesPlace(item({ to: {} })), false);
});

test("files without room are offered for the inbox of the patient, if it takes them", () => {
  const patient = { name: "Anna", accepts: [".txt"], acceptsWords: "text", maxSize: MB, one: "patient", upload: "/u", bulk: "/b", page: "/p", inbox: "/i" };
  /** @param {object} [some] */
  const over = (some) => item({ state: "refused", row: { dataset: { mfCode: "too-many" } }, file: { name: "Note.txt", size: MB }, widget: { mode: "view", patient }, ...some });
  assert.deepEqual(looks(over()).actions, ["retry", "inbox", "dismiss"]);
  assert.deepEqual(looks(over({ state: "failed" })).actions, ["retry", "inbox", "dismiss"]);
  const without = [{ file: { name: "Note.txt", size: MB + 1 } }, { widget: { mode: "edit", patient } }, { widget: { mode: "view", patient: null } }, { to: inboxOf(patient) }];
  for (const some of without) assert.deepEqual(looks(over(some)).actions, ["retry", "dismiss"]);
  const original = { name: "Photo.txt", size: MB - 1 };
  assert.equal(forInbox(over({ original })), original);
  assert.deepEqual(inboxOf(patient), { upload: "/u?to_file=1", bulk: "/b", page: "/i", name: "Anna", isInbox: true, added: 0 });
});

test("what is put elsewhere says how many and where", () => {
  assert.equal(offerWords(17, "Anna"), "Put 17 files into the inbox of Anna");
  assert.equal(addedWords({ ...inboxOf(reduced().widget.patient), added: 1 }), "1 file added to the inbox of Anna.");
  assert.equal(addedWords({ ...generalOf(reduced().widget.patient), added: 2 }), "2 files added to the general documents of Anna.");
});

/** @param {object} [some] @returns {any} a photo that was reduced, in a visit of Anna, whose general documents take 50 MB */
function reduced(some) {
  const patient = { name: "Anna", accepts: [".jpg"], acceptsWords: "JPG", maxSize: 50 * MB, one: "patient", upload: "/u", bulk: "/b", page: "/p" };
  const original = { name: "Letter.jpg", size: 31 * MB };
  return item({ state: "reduced", row: { dataset: {} }, file: { size: 8 * MB }, original, widget: { mode: "view", patient }, ...some });
}

test("the original of a reduced photo is offered where it fits, once", () => {
  assert.equal(noteWords(reduced()), "Reduced from 31 MB to 8 MB to fit. The original fits into the general documents of Anna.");
  assert.deepEqual(looks(reduced()).actions, ["keep", "hide"]);
  assert.equal(noteWords(reduced({ isKept: true })), "Reduced from 31 MB to 8 MB to fit.");
  assert.deepEqual(looks(reduced({ isKept: true })).actions, ["hide"]);
});

test("a reduced photo whose original fits nowhere says where the original is", () => {
  const original = new File([], "Letter.jpg");
  Object.defineProperty(original, "size", { value: 51 * MB });
  assert.equal(noteWords(reduced({ original })), "Reduced from 51 MB to 8 MB to fit. The original stays on your device.");
  const shot = photo(new File([], "image.jpg"));
  Object.defineProperty(shot, "size", { value: 51 * MB });
  assert.equal(noteWords(reduced({ original: shot })), "Reduced from 51 MB to 8 MB to fit. The original is not kept.");
  assert.deepEqual(looks(reduced({ original })).actions, ["hide"]);
  assert.deepEqual(looks(reduced({ widget: { mode: "view", patient: null } })).actions, ["hide"]);
  assert.equal(noteWords(item({})), "");
});

test("the buttons of a row follow from its state and from why it was refused", () => {
  const row = (dataset = {}) => ({ row: { dataset } });
  /** @param {object} some */
  const actions = (some) => looks(item({ ...row(), ...some })).actions;
  assert.deepEqual(actions({ state: "sending" }), ["cancel"]);
  assert.deepEqual(actions({ state: "paused" }), ["retry", "cancel"]);
  assert.deepEqual(actions({ state: "held" }), ["add-now", "cancel"]);
  assert.deepEqual(actions({ state: "held", widget: { mode: "edit" } }), ["cancel"]);
  assert.deepEqual(actions({ state: "failed" }), ["retry", "dismiss"]);
  assert.deepEqual(actions({ state: "failed", ...row({ mfCode: "infected" }) }), ["dismiss"]);
  assert.deepEqual(actions({ state: "refused", ...row({ mfCode: "too-many" }) }), ["retry", "dismiss"]);
  assert.deepEqual(actions({ state: "reducing" }), ["cancel"]);
  assert.deepEqual(actions({ state: "done" }), []);
});

test("details can be entered unless the file is refused, being canceled or hopeless", () => {
  const without = Object.keys(STATES).filter((state) => !looks(item({ state, row: { dataset: {} } })).named);
  assert.deepEqual(without, ["refused", "cancelling", "reduced"]);
  assert.equal(looks(item({ state: "failed", row: { dataset: { mfCode: "empty-file" } } })).named, false);
});

test("what goes on by itself is what waits, and an unfinished cancel or save without a request", () => {
  const request = {};
  const idle = [{ state: "waiting" }, { state: "paused" }, { state: "cancelling", task: "cancel" }, { state: "done", task: "save" }];
  const not = [{ state: "queued" }, { state: "failed" }, { state: "failed", task: "cancel" }, { state: "done" }, { state: "cancelling", task: "cancel", request }];
  assert.ok(idle.every((some) => isIdle(item(some))));
  assert.ok(!not.some((some) => isIdle(item(some))));
});

test("a waiting file counts down to its next try", () => {
  const waiting = item({ state: "waiting", words: "The server is busy.", due: 10_000 });
  assert.equal(stateWords(waiting, false, 2_500), "The server is busy. Retrying in 8 s.");
  assert.equal(stateWords(waiting, false, 11_000), "The server is busy. Retrying in 1 s.");
});

test("a held file says when it will go", () => {
  assert.equal(stateWords(item({ state: "held", widget: { mode: "create" } }), false), "Will be added when you save.");
  assert.equal(stateWords(item({ state: "held" }), false), "Not added yet.");
});

test("a paused file says whether the connection or the session is missing", () => {
  assert.match(stateWords(item({ state: "paused" }), false), /offline/);
  assert.match(stateWords(item({ state: "paused" }), true), /Sign in/);
});

test("the bar speaks of what moves first, then of what failed", () => {
  const [sending, failed, held] = ["sending", "failed", "held"].map((state) => item({ state }));
  assert.equal(barWords([sending, sending, failed]), "Adding 2 files…");
  assert.equal(barWords([sending]), "Adding 1 file…");
  assert.equal(barWords([failed, held]), "1 file could not be added");
  assert.equal(barWords([held]), "1 file not added yet");
});

test("keys are never the same, with and without a secure page", (context) => {
  const secure = Array.from({ length: 20 }, newKey);
  context.mock.property(Crypto.prototype, "randomUUID", /** @type {any} */ (undefined));
  const plain = Array.from({ length: 20 }, newKey);
  assert.equal(new Set([...secure, ...plain]).size, 40);
  assert.match(plain[0] ?? "", /^[0-9a-f]{32}$/);
});

test("a file that went away on disk is noticed", async () => {
  const lost = /** @type {any} */ ({ slice: () => ({ arrayBuffer: () => Promise.reject(new DOMException("", "NotReadableError")) }) });
  assert.equal(await readable(new File(["x"], "a.pdf")), true);
  assert.equal(await readable(lost), false);
});
