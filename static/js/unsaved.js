/**
 * Unsaved changes: asks before they are lost, and sends them again with a fresh token when a new sign-in has replaced
 * the session.
 */
import { near } from "./dom.js";
import { _ } from "./i18n.js";
import { discard, isHeld } from "./upload.js";
import { parse, setToken } from "./upload-page.js";

const doc = document;
const QUESTION = _("Discard changes?");
/** @type {Set<Element>} */
const touched = new Set();
/** @type {WeakMap<HTMLFormElement, HTMLElement>} the button each form was submitted with */
const submitters = new WeakMap();
let leaving = false;

/** @param {ParentNode} place @returns {Element[]} widgets inside record forms */
const widgets = (place) => [...place.querySelectorAll(".mf-manager:is([data-mf-mode=edit], [data-mf-mode=create])")];

/**
 * @param {ParentNode & Node} place
 * @returns {boolean} whether it contains unsaved changes, including a form with errors
 */
export function isWritten(place) {
  touched.forEach((form) => form.isConnected || touched.delete(form));
  return [...touched].some((form) => place.contains(form)) || !!place.querySelector(".mf-record > .mf-summary");
}

/** @param {Element} form whose changes are discarded */
export const forget = (form) => touched.delete(form);

/** @returns {boolean} false if the user decides to stay */
export const mayLose = () => confirm(QUESTION);

/** @param {ParentNode & Node} place @returns {boolean} false if the user decides to stay */
export function mayLeave(place) {
  const left = widgets(place);
  if ((isWritten(place) || left.some(({ id }) => isHeld(id))) && !mayLose()) return false;
  left.forEach(({ id }) => discard(id));
  return true;
}

/**
 * Submits a form again, with the same button.
 * @param {HTMLFormElement} form
 */
export function resend(form) {
  const button = submitters.get(form);
  form.requestSubmit(button?.isConnected ? button : null);
}

/** @param {Element} source @returns {Promise<boolean>} whether the page now has a valid token */
export async function renewToken(source) {
  const form = source.closest("form.mf-form")?.getAttribute("hx-post");
  const part = source.closest(".mf-body[hx-get]")?.getAttribute("hx-get");
  const answer = await fetch(form ?? part ?? location.pathname, { headers: { "HX-Request": "true" } }).catch(
    () => null,
  );
  const page = parse(answer?.ok ? await answer.text() : "");
  const field = /** @type {HTMLInputElement | null} */ (page.querySelector("input[name=csrf_token]"));
  const token = page.querySelector("[data-mf-csrf]")?.getAttribute("data-mf-csrf") ?? field?.value;
  if (token) setToken(token);
  return !!token;
}

/** @param {SubmitEvent} event */
function submitted({ target, submitter, defaultPrevented }) {
  const form = /** @type {HTMLFormElement} */ (target);
  if (submitter) submitters.set(form, submitter);
  else submitters.delete(form);
  leaving ||= form.matches("[data-mf-guard]") && !defaultPrevented;
}

/** @param {BeforeUnloadEvent} event */
function warn(event) {
  if (leaving || !isWritten(doc)) return;
  event.preventDefault();
  event.returnValue = true;
}

export function start() {
  doc.addEventListener("input", (event) => {
    const form = near(event, "[data-mf-queue]") ? null : near(event, "[data-mf-guard]");
    if (form) touched.add(form);
  });
  addEventListener("submit", /** @type {EventListener} */ (submitted));
  addEventListener("beforeunload", warn);
}
