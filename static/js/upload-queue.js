/**
 * The upload queue: sends three files at a time, retries automatically, pauses when offline or signed out, and undoes
 * uploads that are canceled.
 * It is kept in memory, not in the page, so that no swap loses a file.
 */
import { _, ngettext } from "./i18n.js";
import * as page from "./upload-page.js";
import * as transfer from "./transfer.js";
import * as view from "./upload-row.js";
import { barWords, isActive, isIdle, isRewritten, isUnfinished, stateWords, takesPlace } from "./upload-item.js";
import { durationWords, roomAgainWords, roomWords } from "./upload-words.js";

/** @typedef {import("./transfer.js").Answer} Answer */
/** @typedef {import("./upload-page.js").Widget} Widget */
/** @typedef {import("./upload-item.js").Item} Item */
/** @typedef {import("./upload-item.js").State} State */
/** @typedef {import("./upload-item.js").Task} Task */

const UNREADABLE = _("This file can no longer be read. Select it again.");
const SIGNED_OUT = _("You were signed out. Sign in again in another tab. Your files will stay here.");

/** @type {Item[]} */
let items = [];
let signedOut = false;
/** @type {Promise<number> | null} */
let renewal = null;
/** @type {ReturnType<typeof setInterval> | undefined} */
let ticking;

/** @param {Widget} widget */
export const itemsOf = (widget) => items.filter((item) => item.widget === widget);
const busyWidgets = () => [...new Set(items.map(({ widget }) => widget))];

/** @param {Item} item */
export const join = (item) => items.push(item);
/** @param {Item} item */
export const has = (item) => items.includes(item);

/* State changes */

/** @returns {State} of a file that can be sent */
export const waiting = () => (signedOut ? "paused" : "queued");

/** @param {Item} item @param {State} state @param {string} [words] */
export function change(item, state, words = "") {
  Object.assign(item, { state, words });
  if (state === "queued") view.fill(item.row, 0);
  if (state === "processing" || state === "cancelling") view.fill(item.row, -1);
  view.tell(item.row, stateWords(item, signedOut));
  view.keepFocus(item.row, () => (item.row.dataset.mfState = state));
  ticking ??= setInterval(tick, 500);
  drawBar();
}

function tick() {
  const moving = items.filter(({ state }) => state === "sending" || state === "waiting");
  moving.forEach((item) => view.tell(item.row, stateWords(item, signedOut)));
  if (moving.length) return;
  clearInterval(ticking);
  ticking = undefined;
}

export function next() {
  const busy = items.filter(({ request, task }) => request && task === "send").length;
  const queued = signedOut || renewal ? [] : items.filter(({ state }) => state === "queued");
  queued.slice(0, Math.max(0, transfer.IN_FLIGHT - busy)).forEach(run);
}

/** @type {Record<Task, { ask: (item: Item) => transfer.Request, done: (item: Item, answer: Answer) => void }>} */
const tasks = {
  send: { ask: askSend, done: stored },
  save: { ask: askSave, done: saved },
  cancel: { ask: askCancel, done: cancelled },
};

/** @param {Item} item */
function run(item) {
  if (item.request) return;
  clearTimeout(item.timer);
  const request = (item.request = tasks[item.task].ask(item));
  request.answer.then((answer) => item.request === request && settle(item, answer));
}

/**
 * Retries immediately.
 * @param {Item} item
 */
function go(item) {
  clearTimeout(item.timer);
  if (item.task !== "send") return run(item);
  change(item, waiting());
  next();
}

/** @param {Item} item @returns {boolean} whether it failed only because the server was unreachable for too long */
const isOutage = ({ state, task, row }) => state === "failed" && task === "send" && row.dataset.mfCode === "outage";

/** Resumes everything that is waiting or paused, or failed because of an outage. */
export function goOn() {
  for (const item of signedOut ? [] : items.filter((one) => isIdle(one) || isOutage(one))) go(Object.assign(item, { tries: 0, waited: 0 }));
}

/** @param {Item} item @returns {transfer.Request} */
function askSend(item) {
  const { file, key, row, widget } = item;
  delete row.dataset.mfCode;
  Object.assign(item, { sent: view.fields(row), samples: [{ at: Date.now(), bytes: 0 }] });
  change(item, "sending");
  const [type, name] = ["application/octet-stream", transfer.disposition(file.name)];
  const headers = { "Content-Type": type, "Content-Disposition": name, "Idempotency-Key": key, "X-CSRFToken": widget.token };
  const watch = { progress: (/** @type {number} */ bytes) => progress(item, bytes), sent: () => change(item, "processing") };
  return transfer.request(transfer.withQuery(widget.upload, item.sent), { headers, body: file }, watch);
}

/** @param {Item} item @param {number} bytes */
function progress(item, bytes) {
  item.samples = transfer.recent([...item.samples, { at: Date.now(), bytes }], Date.now());
  view.fill(item.row, (100 * bytes) / item.file.size);
}

/** @param {Item} item @param {string} url @param {Record<string, string>} values */
const post = ({ widget }, url, values) => transfer.request(url, { headers: { "X-CSRFToken": widget.token }, body: new URLSearchParams(values) });

/** @param {Item} item @returns {transfer.Request} */
function askSave(item) {
  item.sent = view.fields(item.row);
  return post(item, item.widget.upload.replace(/\/[^/]+\/[^/]+\/files$/, `/files/${item.stored}/edit`), { ...item.sent, within: "manager" });
}

/** @param {Item} item @returns {transfer.Request} */
function askCancel(item) {
  return post(item, item.widget.bulk, { action: "cancel", idempotency_key: item.key });
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
  item.stored = page.place(answer.html, item.widget.id);
  item.uncertain = !item.stored;
  if (!item.stored) return fail(item, _("Unexpected response from the server. Check whether the file is in the list before you try again."));
  item.widget.added++;
  page.say(item.widget, _("%(name)s added.", { name: item.file.name }));
  finish(item);
}

/**
 * Removes the row of a stored file, once it is no longer being edited and its changes are saved.
 * @param {Item} item
 */
export function finish(item) {
  if (view.isTyping(item.row)) return change(item, "done");
  if (!isRewritten(item)) return remove(item);
  Object.assign(item, { task: "save", tries: 0, waited: 0, renewed: false });
  change(item, "done");
  run(item);
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
  page.place(answer.html, item.widget.id);
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
  const before = { send: "", save: _("Added, but your changes could not be saved."), cancel: _("This file may have been added anyway.") }[item.task];
  change(item, "failed", `${before} ${words}`.trimStart());
  page.say(item.widget, `${item.file.name}: ${item.words}`);
  rest(item.widget);
}

/** @param {Item} item @param {Answer} answer */
async function tryLater(item, answer) {
  const { task } = item;
  item.uncertain ||= task === "send" && answer.status !== 429;
  const lost = !answer.status && task === "send" && !(await transfer.readable(item.file));
  if (item.task !== task || item.request || !has(item)) return;
  if (lost) return fail(item, UNREADABLE);
  if (!answer.status && !navigator.onLine) return wait(item, "paused", transfer.retryDelay(99));
  const delay = transfer.retryDelay(++item.tries, answer.wait);
  item.waited += delay;
  if (item.waited <= transfer.PATIENCE) return wait(item, "waiting", delay, answer.message);
  item.row.dataset.mfCode = "outage";
  fail(item, _("%(reason)s Try again in %(time)s.", { reason: answer.message, time: durationWords(Math.max(60, answer.wait / 1_000)) }));
}

/** @param {Item} item @param {State} state @param {number} delay @param {string} [words] */
function wait(item, state, delay, words) {
  item.due = Date.now() + delay;
  item.timer = setTimeout(go, delay, item);
  change(item, item.task === "send" ? state : item.state, words);
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
  if (item.request || !has(item)) return;
  if (status === 200) go(item);
  else settle(item, transfer.readAnswer(status, "", () => null));
}

/** @param {Item} item */
function signOut(item) {
  if (!signedOut) page.say(item.widget, SIGNED_OUT);
  signedOut = true;
  for (const one of items.filter((other) => other === item || ["queued", "waiting"].includes(other.state))) {
    clearTimeout(one.timer);
    if (one.task === "send") change(one, "paused");
  }
  drawSignedOut();
}

/** Checks whether the user has signed in again. */
export async function resume() {
  const item = signedOut && items.find(isIdle);
  const status = item ? await renew(item.widget) : 200;
  if (status === 401 || transfer.retryable(status)) return;
  const back = signedOut;
  signedOut = false;
  drawSignedOut();
  if (back) goOn();
}

/* User actions */

/**
 * Removes a file, also from the server if it may have arrived there.
 * @param {Item} item
 */
export function cancel(item) {
  const { request, task, uncertain } = item;
  clearTimeout(item.timer);
  request?.abort();
  item.request = null;
  if (task !== "send" || item.stored || (!request && !uncertain)) return remove(item);
  Object.assign(item, { task: "cancel", tries: 0, waited: 0, renewed: false });
  change(item, "cancelling");
  run(item);
  next();
}

/** @param {Item} item */
export function retry(item) {
  Object.assign(item, { tries: 0, waited: 0, renewed: false });
  if (item.task !== "send") change(item, item.task === "save" ? "done" : "cancelling");
  if (item.widget.upload) go(item);
  resume();
}

/** @param {Element} element @returns {Item | undefined} the one whose row contains it */
export const itemOf = (element) => items.find(({ row }) => row.contains(element));

/** @param {Item} item */
function remove(item) {
  items = items.filter((other) => other !== item);
  recheckRoom();
  view.keepFocus(item.row, () => item.row.remove());
  view.release(item.row);
  drawBar();
  drawSignedOut();
  rest(item.widget);
  next();
}

/** @param {string} [managerId] @returns {boolean} whether leaving would lose files */
export const pending = (managerId) => items.some((item) => isUnfinished(item) && (!managerId || item.widget.id === managerId));

/** @param {string} managerId of a record's form @returns {boolean} whether files are held there until it is saved */
export const isHeld = (managerId) => items.some(({ state, widget }) => state === "held" && widget.id === managerId);

/**
 * Removes held and refused files. Uploads started before the form was opened continue.
 * @param {string} managerId
 */
export const discard = (managerId) => items.filter(({ state, widget }) => ["held", "refused"].includes(state) && widget.id === managerId).forEach(cancel);

/* The page around it */

/** Updates the messages for files that did not fit: whether they fit now. */
function recheckRoom() {
  const full = items.filter(({ state, row }) => ["refused", "failed"].includes(state) && row.dataset.mfCode === "too-many");
  for (const item of full) {
    const { limits, widget } = item;
    const fits = widget.free > itemsOf(widget).filter(takesPlace).length;
    const words = fits ? roomAgainWords(limits.one) : roomWords(limits.one, widget.free, limits.maxFiles);
    if (item.words !== words && (fits || item.words === roomAgainWords(limits.one))) change(item, item.state, words);
  }
}

/** After a swap: moves the rows into the current list of their record. */
export function attach() {
  page.learnAll();
  for (const widget of busyWidgets()) {
    const list = page.listOf(widget);
    const rows = itemsOf(widget).map(({ row }) => row);
    if (rows.some((row, index) => list && list.children[index] !== row)) list?.replaceChildren(...rows);
    itemsOf(widget).forEach((item) => view.tell(item.row, stateWords(item, signedOut)));
  }
  recheckRoom();
  drawBar();
  drawSignedOut();
}

/**
 * Starts the files held for this record.
 * @param {string} type @param {string} id
 */
export function recordSaved(type, id) {
  for (const item of items) {
    if (item.state === "held" && item.widget.id === `mf-manager-${type}-${id}`) change(item, waiting());
  }
  next();
  resume();
}

/** @param {string} type @param {string} id */
export function recordCreated(type, id) {
  for (const item of items.filter(({ widget }) => widget.id === `mf-manager-${type}-new`)) item.widget = page.becameRecord(item.widget, type, id);
  attach();
  recordSaved(type, id);
}

function drawSignedOut() {
  page.drawSignedOut(SIGNED_OUT, signedOut ? busyWidgets().filter((widget) => itemsOf(widget).some(isIdle)) : []);
}

function drawBar() {
  const away = busyWidgets().filter((widget) => !page.listOf(widget) && itemsOf(widget).some(isUnfinished));
  page.drawBar(away.map((widget) => [widget, barWords(itemsOf(widget))]));
}

/** @param {Widget} widget whose last file may have finished */
function rest(widget) {
  const own = itemsOf(widget);
  const failed = own.filter(({ state }) => state === "failed").length;
  if (own.some(isActive) || !widget.added) return;
  const added = ngettext("%(num)s file added.", "%(num)s files added.", widget.added);
  const some = ngettext("%(num)s file added, %(failed)s could not be added.", "%(num)s files added, %(failed)s could not be added.", widget.added, { failed });
  if (widget.added + failed > 1) page.say(widget, failed ? some : added);
  widget.added = 0;
}
