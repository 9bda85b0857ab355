/**
 * Images rendered by the server: loading, retries while it is busy, failures.
 */
import { near, on } from "./dom.js";
import { _ } from "./i18n.js";

const TRIES = 6;
const LONGEST_WAIT = 15; // seconds
const THUMBS = ".mf-thumb, .mf-paper";
const CARDS = ".mf-cards-on-top, .mf-wallet"; // their alternative text replaces them
/** @type {WeakMap<HTMLImageElement, number>} retries per image */
const tries = new WeakMap();

/** @param {number} seconds */
const wait = (seconds) => new Promise((resolve) => setTimeout(resolve, seconds * 1000));

/**
 * Requests an image again.
 * @param {HTMLImageElement} picture
 */
function askAgain(picture) {
  const { src, srcset } = picture;
  picture.removeAttribute("srcset");
  picture.src = "";
  if (srcset) picture.srcset = srcset;
  picture.src = src;
}

/** @param {HTMLElement} frame @param {string} state */
function mark(frame, state) {
  frame.dataset.mfPicture = state;
  if (state !== "failed") frame.querySelector(".mf-look-broken")?.remove();
}

/** @param {HTMLElement} frame @param {string} words error message */
function explain(frame, words) {
  const template = /** @type {HTMLTemplateElement | null | undefined} */ (
    frame.closest(".mf-look-in, .mf-print, .mf-shared-main")?.querySelector("template[data-mf-broken]")
  );
  mark(frame, "failed");
  if (!template || frame.querySelector(".mf-look-broken")) return;
  frame.append(document.importNode(template.content, true));
  const line = frame.querySelector("[data-mf-words]");
  if (line) line.textContent = words;
}

/** @param {Response | null} answer @returns {{ code?: string, message?: string }} the server's error, if any */
function errorOf(answer) {
  try {
    return JSON.parse(answer?.headers.get("HX-Trigger") ?? "")["documents:error"] ?? {};
  } catch {
    return {};
  }
}

/** @param {Response} answer @returns {string} the server's message */
function reason(answer) {
  if (answer.status === 401) return _("You were signed out. Sign in again to see this picture.");
  return errorOf(answer).message ?? _("This picture could not be shown.");
}

/**
 * Requests a picture again that the server had not rendered yet.
 * @param {HTMLImageElement} picture @returns {Promise<boolean>} whether it does
 */
async function retried(picture) {
  const answer = await fetch(picture.src).catch(() => null);
  const tried = tries.get(picture) ?? 0;
  const late = Number(answer?.headers.get("Retry-After")) || 0;
  const comes = answer?.status === 200 || (late && [204, 429, 503].includes(answer?.status ?? 0));
  if (tried >= TRIES || !comes) return false;
  tries.set(picture, tried + 1);
  if (late) await wait(Math.min(LONGEST_WAIT, late) * (1 + Math.random()));
  if (picture.isConnected) askAgain(picture);
  return true;
}

/**
 * Retries a thumbnail. Until it is shown, the tile below it suffices.
 * @param {HTMLImageElement} picture
 */
async function failedThumbnail(picture) {
  Object.assign(picture, { hidden: true, loading: "eager" });
  if (!(await retried(picture))) picture.remove();
}

/**
 * Requests the reason why an image failed to load, and retries if the server says so.
 * @param {HTMLImageElement} picture
 */
async function failed(picture) {
  if (!picture.getAttribute("src")) return;
  if (picture.closest(THUMBS)) return failedThumbnail(picture);
  if (picture.closest(CARDS)) return void retried(picture);
  const frame = /** @type {HTMLElement | null} */ (picture.closest("[data-mf-picture]"));
  if (!frame || !picture.getAttribute("src")) return;
  const url = picture.currentSrc || picture.src;
  const answer = await fetch(url, { headers: { "HX-Request": "true" } }).catch(() => null);
  const tried = tries.get(picture) ?? 0;
  const isLate = errorOf(answer).code === "preview-timeout"; // asking again at once would be answered the same
  const comes = answer?.ok || (!isLate && [429, 503].includes(answer?.status ?? 0));
  frame.toggleAttribute("data-mf-late", isLate);
  if (!picture.isConnected || picture.src !== new URL(picture.src, location.href).href) return;
  if (!answer) return explain(frame, _("Can’t reach the server. Check your connection."));
  if (!comes || tried >= TRIES) return explain(frame, reason(answer));
  tries.set(picture, tried + 1);
  mark(frame, "busy");
  if (!answer.ok) await wait(Math.min(LONGEST_WAIT, Number(answer.headers.get("Retry-After")) || 2));
  if (picture.isConnected) askAgain(picture);
}

/** @param {HTMLElement} button */
async function redraw(button) {
  const frame = /** @type {HTMLElement} */ (button.closest("[data-mf-picture]"));
  const picture = frame.querySelector("img");
  /** @type {HTMLElement | null} */ (frame.closest("[data-mf-stage]"))?.focus();
  mark(frame, "loading");
  if (picture) tries.delete(picture);
  if (picture && frame.hasAttribute("data-mf-late"))
    await fetch(`${picture.currentSrc || picture.src}?retry=1`).catch(() => null);
  if (picture) askAgain(picture);
}

/**
 * Handles images that loaded or failed before the listeners were attached.
 * @param {Element | Document} place
 */
export function look(place) {
  for (const picture of /** @type {NodeListOf<HTMLImageElement>} */ (place.querySelectorAll("[data-mf-picture] img"))) {
    if (picture.complete && picture.naturalWidth) arrived(picture);
    else if (picture.complete && picture.getAttribute("src") && picture.loading !== "lazy") failed(picture);
  }
  /** @type {NodeListOf<HTMLImageElement>} */
  const pictures = place.querySelectorAll(`:is(${THUMBS}, ${CARDS}) img`);
  for (const picture of pictures) {
    if (picture.complete && !picture.naturalWidth) failed(picture);
  }
}

/** @param {HTMLImageElement} picture */
function arrived(picture) {
  if (picture.naturalWidth && picture.closest(THUMBS)) picture.hidden = false;
  const frame = /** @type {HTMLElement | null} */ (picture.closest("[data-mf-picture]"));
  if (!frame || !picture.naturalWidth) return;
  mark(frame, "shown");
  frame.dispatchEvent(new CustomEvent("mf:drawn", { bubbles: true }));
}

export function start() {
  const each = (/** @type {Event} */ event, /** @type {(picture: HTMLImageElement) => void} */ act) =>
    event.target instanceof HTMLImageElement && act(event.target);
  document.addEventListener("load", (event) => each(event, arrived), true);
  document.addEventListener("error", (event) => each(event, failed), true);
  on("click", (event) => near(event, "[data-mf-redraw]") && redraw(near(event, "[data-mf-redraw]")));
  look(document);
}
