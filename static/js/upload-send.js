/**
 * Sends the files in the upload queue: three at a time, with automatic retries, pauses when offline or signed out, and
 * cancellation of uploads that may have arrived.
 */
import { _ } from "./i18n.js";
import * as page from "./upload-page.js";
import * as transfer from "./transfer.js";
import * as store from "./upload-store.js";
import * as view from "./upload-row.js";
import { isIdle, isRewritten } from "./upload-item.js";
import { addedWords, detailsOf, placeOf } from "./upload-places.js";
import { isActive } from "./upload-states.js";
import { allAddedWords, durationWords } from "./upload-words.js";

/** @typedef {import("./transfer.js").Answer} Answer */
/** @typedef {import("./upload-page.js").Widget} Widget */
/** @typedef {import("./upload-item.js").Item} Item */
/** @typedef {import("./upload-item.js").State} State */
/** @typedef {import("./upload-item.js").Task} Task */

const UNREADABLE = _("This file can no longer be read. Select it again.");
const UNEXPECTED = _(
  "Unexpected response from the server. Check whether the file is in the list before you try again.",
);

/** @type {Promise<number> | null} */
let renewal = null;

export function next() {
  const busy = store.all().filter(({ request, task }) => request && task === "send").length;
  const queued = store.session.signedOut || renewal ? [] : store.all().filter(({ state }) => state === "queued");
  queued.slice(0, Math.max(0, transfer.IN_FLIGHT - busy)).forEach(run);
}

/** @type {Record<Task, { ask: (item: Item) => transfer.Request, done: (item: Item, answer: Answer) => void }>} */
const tasks = {
  send: { ask: askSend, done: stored },
  save: { ask: askSave, done: saved },
  cancel: { ask: askCancel, done: cancelled },
};

/** @param {Item} item */
export function run(item) {
  if (item.request) return;
  clearTimeout(item.timer);
  const request = (item.request = tasks[item.task].ask(item));
  request.answer.then((answer) => item.request === request && settle(item, answer));
}

/**
 * Retries immediately.
 * @param {Item} item
 */
export function go(item) {
  clearTimeout(item.timer);
  if (item.task !== "send") return run(item);
  store.change(item, store.waiting());
  next();
}

/** @param {Item} item @returns {boolean} whether it failed only because the server was unreachable for too long */
const isOutage = ({ state, task, row }) => state === "failed" && task === "send" && row.dataset.mfCode === "outage";

/** Resumes everything that is waiting or paused, or failed because of an outage. */
export function goOn() {
  for (const item of store.session.signedOut ? [] : store.all().filter((one) => isIdle(one) || isOutage(one)))
    go(Object.assign(item, { tries: 0, waited: 0 }));
}

/** @param {Item} item @returns {transfer.Request} */
function askSend(item) {
  const { file, key, row, widget } = item;
  delete row.dataset.mfCode;
  Object.assign(item, { sent: detailsOf(item), samples: [{ at: Date.now(), bytes: 0 }] });
  store.change(item, "sending");
  const [type, name] = ["application/octet-stream", transfer.disposition(file.name)];
  const headers = {
    "Content-Type": type,
    "Content-Disposition": name,
    "Idempotency-Key": key,
    "X-CSRFToken": widget.token,
  };
  const watch = {
    progress: (/** @type {number} */ bytes) => progress(item, bytes),
    sent: () => store.change(item, "processing"),
  };
  return transfer.request(transfer.withQuery(placeOf(item).upload, item.sent), { headers, body: file }, watch);
}

/** @param {Item} item @param {number} bytes */
function progress(item, bytes) {
  item.samples = transfer.recent([...item.samples, { at: Date.now(), bytes }], Date.now());
  view.fill(item.row, (100 * bytes) / item.file.size);
}

/** @param {Item} item @param {string} url @param {Record<string, string>} values */
const post = ({ widget }, url, values) =>
  transfer.request(url, { headers: { "X-CSRFToken": widget.token }, body: new URLSearchParams(values) });

/** @param {Item} item @returns {transfer.Request} */
function askSave(item) {
  item.sent = view.fields(item.row);
  return post(item, item.widget.upload.replace(/\/[^/]+\/[^/]+\/files(\?.*)?$/, `/files/${item.stored}/edit`), {
    ...item.sent,
    within: "manager",
  });
}

/** @param {Item} item @returns {transfer.Request} */
function askCancel(item) {
  return post(item, placeOf(item).bulk, { action: "cancel", idempotency_key: item.key });
}

/* Responses */

/** @param {Item} item @param {Answer} answer */
function settle(item, answer) {
  item.request = null;
  const { status, code } = answer;
  if (status === 401) signOut(item);
  else if (code === "csrf" && !item.renewed) renewFor(item);
  else if (transfer.retryable(status)) tryLater(item, answer);
  else if (status < 300 || (status === 404 && item.task === "cancel")) tasks[item.task].done(item, answer);
  else refuse(item, answer);
  next();
}

/** @param {Item} item @param {Answer} answer */
function stored(item, answer) {
  page.dispatch(item.widget, answer.events);
  item.stored = item.to ? page.idIn(answer.html) : page.place(answer.html, item.widget.id);
  item.uncertain = !item.stored;
  if (!item.stored) return fail(item, UNEXPECTED);
  item.widget.added++;
  const names = { name: item.file.name, becomes: item.becomes };
  page.say(item.widget, item.becomes ? _("%(name)s added as %(becomes)s.", names) : _("%(name)s added.", names));
  if (item.to) addedTo(item.to, item);
  finish(item);
}

/** @param {import("./upload-places.js").Place} place @param {Item} item */
function addedTo(place, { widget }) {
  place.added++;
  page.drawElsewhere(widget, addedWords(place), place.page);
}

/**
 * Removes the row of a stored file, once it is no longer being edited and its changes are saved. That of a reduced
 * photo stays until it is hidden.
 * @param {Item} item
 */
export function finish(item) {
  if (view.isTyping(item.row)) return store.change(item, "done");
  if (!isRewritten(item)) return item.original ? leave(item) : remove(item);
  Object.assign(item, { task: "save", tries: 0, waited: 0, renewed: false });
  store.change(item, "done");
  run(item);
}

/** @param {Item} item of a reduced photo */
function leave(item) {
  store.change(item, "reduced");
  rest(item.widget);
}

/** @param {Item} item @param {Answer} answer */
function saved(item, answer) {
  page.dispatch(item.widget, answer.events);
  page.place(answer.html, item.widget.id);
  item.task = "send";
  finish(item);
}

/** @param {Item} item @param {Answer} answer */
function cancelled(item, answer) {
  if (answer.status < 300) page.dispatch(item.widget, answer.events);
  if (!item.to) page.place(answer.html, item.widget.id);
  page.say(item.widget, _("%(name)s canceled.", { name: item.file.name }));
  remove(item);
}

/** @param {Item} item @param {Answer} answer */
function refuse(item, answer) {
  if (item.task === "send") item.uncertain = false;
  page.dispatch(item.widget, answer.events);
  item.row.dataset.mfCode = answer.code;
  fail(item, answer.message);
}

/** @param {Item} item @param {string} words */
function fail(item, words) {
  const before = {
    send: "",
    save: _("Added, but your changes could not be saved."),
    cancel: _("This file may have been added anyway."),
  }[item.task];
  store.change(item, "failed", `${before} ${words}`.trimStart());
  page.say(item.widget, `${item.file.name}: ${item.words}`);
  rest(item.widget);
}

/** @param {Item} item @param {Answer} answer */
async function tryLater(item, answer) {
  const { task } = item;
  item.uncertain ||= task === "send" && answer.status !== 429;
  const lost = !answer.status && task === "send" && !(await transfer.readable(item.file));
  if (item.task !== task || item.request || !store.has(item)) return;
  if (lost) return fail(item, UNREADABLE);
  if (!answer.status && !navigator.onLine) return wait(item, "paused", transfer.retryDelay(99));
  const delay = transfer.retryDelay(++item.tries, answer.wait);
  item.waited += delay;
  if (item.waited <= transfer.PATIENCE) return wait(item, "waiting", delay, answer.message);
  item.row.dataset.mfCode = "outage";
  const time = durationWords(Math.max(60, answer.wait / 1_000));
  fail(item, _("%(reason)s Try again in %(time)s.", { reason: answer.message, time }));
}

/** @param {Item} item @param {State} state @param {number} delay @param {string} [words] */
function wait(item, state, delay, words) {
  item.due = Date.now() + delay;
  item.timer = setTimeout(go, delay, item);
  store.change(item, item.task === "send" ? state : item.state, words);
}

/* A stale token, a lost session */

/** @param {Widget} widget @returns {Promise<number>} a status; also 401 if the response contains no token */
function renew(widget) {
  renewal ??= askToken(widget).finally(() => {
    renewal = null;
    next();
  });
  return renewal;
}

/** @param {Widget} widget @returns {Promise<number>} */
async function askToken({ id, url }) {
  const { status, html } = await transfer.request(`${url}/upload-zone`, { method: "GET", headers: {} }).answer;
  if (status !== 200) return status;
  const token = page.parse(html).querySelector("[data-mf-token]")?.getAttribute("data-mf-token");
  if (token) page.setToken(token);
  page.place(html, id);
  return token ? 200 : 401;
}

/** @param {Item} item */
async function renewFor(item) {
  item.renewed = true;
  const status = await renew(item.widget);
  if (item.request || !store.has(item)) return;
  if (status === 200) go(item);
  else settle(item, transfer.readAnswer(status, "", () => null));
}

/** @param {Item} item */
function signOut(item) {
  if (!store.session.signedOut) page.say(item.widget, store.SIGNED_OUT);
  store.session.signedOut = true;
  for (const one of store.all().filter((other) => other === item || ["queued", "waiting"].includes(other.state))) {
    clearTimeout(one.timer);
    if (one.task === "send") store.change(one, "paused");
  }
  store.drawSignedOut();
}

/** Checks whether the user has signed in again. */
export async function resume() {
  const item = store.session.signedOut && store.all().find(isIdle);
  const status = item ? await renew(item.widget) : 200;
  if (status === 401 || transfer.retryable(status)) return;
  const back = store.session.signedOut;
  store.session.signedOut = false;
  store.drawSignedOut();
  if (back) goOn();
}

/** @param {Item} item */
export function remove(item) {
  store.drop(item);
  store.drawTogether(item.widget);
  store.recheckRoom();
  view.keepFocus(item.row, () => item.row.remove());
  view.release(item.row);
  store.drawBar();
  store.drawSignedOut();
  rest(item.widget);
  next();
}

/** @param {Widget} widget whose last file may have finished */
function rest(widget) {
  const own = store.itemsOf(widget);
  const failed = own.filter(({ state }) => state === "failed").length;
  if (own.some(isActive) || !widget.added) return;
  if (widget.added + failed > 1) page.say(widget, allAddedWords(widget.added, failed));
  widget.added = 0;
}
