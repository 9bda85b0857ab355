/**
 * One request of the upload queue: sending with progress, reading the response, and the delay before a retry.
 */
import { statusWords } from "./upload-words.js";

/** @typedef {{ method?: string, headers: Record<string, string>, body?: File | URLSearchParams }} Content */
/** @typedef {{ progress?: (bytes: number) => void, sent?: () => void }} Watch */
/**
 * @typedef {{
 *   status: number, html: string, code: string, message: string, wait: number, events: Record<string, unknown>
 * }} Answer
 */
/** @typedef {{ answer: Promise<Answer>, abort: () => void }} Request */
/** @typedef {{ at: number, bytes: number }} Sample */

export const IN_FLIGHT = 3;
export const PATIENCE = 180_000;
const LONGEST_DELAY = 30_000;
const STALLED = 60_000;
const NO_ANSWER = 300_000;
const SPAN = 3_000;
const RETRYABLE = [0, 408, 425, 429, 500, 502, 503, 504, 520, 521, 522, 523, 524, 530];

/**
 * Returns whether the request may succeed later.
 * @param {number} status
 */
export const retryable = (status) => RETRYABLE.includes(status);

/**
 * @param {number} tries failed attempts, 1 or more
 * @param {number} [wait] delay requested by the server, in ms
 * @param {number} [luck] jitter, 0 to 1
 * @returns {number} ms
 */
export function retryDelay(tries, wait = 0, luck = Math.random()) {
  const growing = Math.min(LONGEST_DELAY, 1_000 * 2 ** (tries - 1));
  return Math.max(growing * (0.8 + 0.2 * luck), wait);
}

/** @param {string | null} header `Retry-After`: seconds or a date @param {number} [now] @returns {number} ms */
export function retryAfter(header, now = Date.now()) {
  if (!header) return 0;
  const wait = /^\s*\d+\s*$/.test(header) ? Number(header) * 1_000 : Date.parse(header) - now;
  return wait > 0 ? wait : 0;
}

/**
 * @param {Sample[]} samples oldest first
 * @param {number} now
 * @returns {Sample[]} those of the last seconds, at least two
 */
export function recent(samples, now) {
  const late = samples.filter(({ at }) => now - at <= SPAN);
  return late.length > 1 ? late : samples.slice(-2);
}

/** @param {Sample[]} samples @param {number} now @returns {number} bytes per second; 0 if unknown */
export function rate(samples, now) {
  const [first] = samples;
  const last = samples.at(-1);
  if (!first || !last || now - first.at < 500) return 0;
  return ((last.bytes - first.bytes) * 1_000) / (now - first.at);
}

/** @param {string} name @returns {string} Content-Disposition header with the file name (RFC 8187) */
export function disposition(name) {
  const whole = name.replace(/\p{Surrogate}/gu, "\ufffd");
  const encoded = encodeURIComponent(whole).replace(
    /['()*]/g,
    (sign) => `%${sign.charCodeAt(0).toString(16).toUpperCase()}`,
  );
  return `attachment; filename*=UTF-8''${encoded}`;
}

/** @param {string} address @param {Record<string, string>} fields empty values are omitted */
export function withQuery(address, fields) {
  const query = new URLSearchParams(Object.entries(fields).filter(([, value]) => value)).toString();
  return query ? address + (address.includes("?") ? "&" : "?") + query : address;
}

/** @param {string | null} header `HX-Trigger`: names, or JSON with details @returns {Record<string, unknown>} */
export function triggers(header) {
  if (!header?.trim().startsWith("{"))
    return Object.fromEntries(
      (header ?? "")
        .split(",")
        .filter((name) => name.trim())
        .map((name) => [name.trim(), {}]),
    );
  try {
    return JSON.parse(header);
  } catch {
    return {};
  }
}

/** @param {number} status @param {string} html @param {(name: string) => string | null} header @returns {Answer} */
export function readAnswer(status, html, header) {
  const events = triggers(header("HX-Trigger"));
  const error = /** @type {{ message?: unknown, code?: unknown } | null | undefined} */ (events["documents:error"]);
  const message = String(error?.message || statusWords(status));
  return { status, html, events, message, code: String(error?.code ?? ""), wait: retryAfter(header("Retry-After")) };
}

/** @returns {string} an idempotency key, kept for every retry of a file */
export function newKey() {
  if (crypto.randomUUID) return crypto.randomUUID();
  return [...crypto.getRandomValues(new Uint8Array(16))].map((byte) => byte.toString(16).padStart(2, "0")).join("");
}

/** @param {File} file @returns {Promise<boolean>} false if it has been changed or removed since it was selected */
export const readable = (file) =>
  file
    .slice(0, 1)
    .arrayBuffer()
    .then(
      () => true,
      () => false,
    );

/**
 * Resolves with status 0 if the connection broke or stalled; never resolves if aborted.
 * @param {string} url @param {Content} content @param {Watch} [watch] @returns {Request}
 */
export function request(url, { method = "POST", headers, body }, watch = {}) {
  const xhr = new XMLHttpRequest();
  /** @type {ReturnType<typeof setTimeout>} */
  let alarm;
  /** @type {(answer: Answer) => void} */
  let resolve;
  /** @type {Promise<Answer>} */
  const answer = new Promise((done) => (resolve = done));
  const quiet = () => (xhr.abort(), resolve(readAnswer(0, "", () => null)));
  /** @param {number} time */
  const within = (time) => (clearTimeout(alarm), (alarm = setTimeout(quiet, time)));

  xhr.upload.onprogress = (event) => (within(STALLED), watch.progress?.(event.loaded));
  xhr.upload.onload = () => (within(NO_ANSWER), watch.sent?.());
  xhr.onload = () => resolve(readAnswer(xhr.status, xhr.responseText, (name) => xhr.getResponseHeader(name)));
  xhr.onerror = () => resolve(readAnswer(0, "", () => null));
  xhr.onloadend = () => clearTimeout(alarm);
  xhr.open(method, url);
  Object.entries({ "HX-Request": "true", ...headers }).forEach(([name, value]) => xhr.setRequestHeader(name, value));
  xhr.send(body);
  within(STALLED);
  return { answer, abort: () => xhr.abort() };
}
