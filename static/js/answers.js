/**
 * Handles the widget's requests and responses in htmx 4 and 2: adds the CSRF token, shows errors in place, offers retries.
 */
import { htmx, near, on } from "./dom.js";
import * as focus from "./focus.js";
import { isOvertaken } from "./fresh.js";
import { _ } from "./i18n.js";
import * as preview from "./preview.js";
import * as unsaved from "./unsaved.js";
import { pending } from "./upload.js";

const doc = document;
/** @type {Element | null} the element whose request was repeated with a fresh token */
let renewed = null;

/**
 * Returns the status of the response in htmx 4 or 2; 0 if there is none.
 * @param {CustomEvent} event
 */
const status = ({ detail }) => (detail.ctx ? detail.ctx.response?.status : detail.xhr?.status) ?? 0;
/** @param {CustomEvent} event @param {string} name @returns {string | null} */
const header = ({ detail }, name) => (detail.ctx ? detail.ctx.response?.headers?.get?.(name) : detail.xhr?.getResponseHeader(name)) ?? null;
/** @param {CustomEvent} event @returns {Element} */
const sourceOf = ({ detail, target }) => detail.ctx?.sourceElement ?? detail.requestConfig?.elt ?? detail.elt ?? target;

const PLACES = ".mf-edit, .mf-form, .mf-next-rows td, .mf-badge-holder, .mf-body, .mf-manager, .mf-record, .mf-sheet, #mf-cards, .mf-main, .mf";
/** @param {EventTarget | null} source @returns {Element | null} the part of the page in which to show the error */
const placeOf = (source) => (source instanceof Element ? (source.querySelector(":scope > tr > td > [data-mf-more]") ?? source).closest(PLACES) : null);
/** @param {Element | null} place */
const clear = (place) => place?.querySelectorAll(":scope > .mf-problem").forEach((old) => old.remove());

const OURS = ".mf-manager, .mf-body, .mf-badge-holder, .mf-look";
const CORE = /^(HX-.*|Accept|Content-Type)$/i;

/** @param {CustomEvent} event @returns {boolean} whether its response would discard unsaved changes elsewhere and the user declined that */
function isUnwelcome({ target, detail }) {
  const aim = detail.ctx?.target ?? detail.target;
  const place = typeof aim === "string" ? doc.querySelector(aim) : aim;
  const form = target instanceof Element ? target.closest(".mf-edit") : null;
  return !form && !!place?.closest?.(".mf-body") && unsaved.isWritten(place) && !unsaved.mayLose();
}

/**
 * Adds the CSRF token to our requests, and removes the headers that a host page adds to all requests.
 * @param {CustomEvent} event
 */
function addToken(event) {
  const { target, detail } = event;
  if (isUnwelcome(event)) return event.preventDefault();
  clear(placeOf(target));
  const source = target instanceof Element ? target : doc.body;
  const token = source.closest(".mf")?.closest("[data-mf-csrf]")?.getAttribute("data-mf-csrf");
  const headers = detail.ctx?.request.headers ?? detail.headers;
  if (source.closest(OURS)) {
    Object.keys(headers).forEach((name) => CORE.test(name) || delete headers[name]);
    Object.assign(detail.ctx ?? {}, { select: source.getAttribute("hx-select") ?? undefined, selectOOB: undefined, push: undefined, replace: undefined, confirm: undefined });
  }
  if (token) headers["X-CSRFToken"] = token;
}
on("htmx:configRequest htmx:config:request", addToken);
on("htmx:before:init", (event) => near(event, OURS) && near(event, "[hx-get], [hx-post]") !== event.target && event.preventDefault()); // no boosted links

on("htmx:before:response", ({ detail: { ctx } }) => {
  if (ctx.target?.id && !ctx.target.isConnected) ctx.target = doc.getElementById(ctx.target.id) ?? ctx.target; // a previous response replaced it
});

/**
 * Prevents the swap.
 * @param {CustomEvent} event
 */
function drop(event) {
  if (event.detail.xhr) Object.assign(event.detail, { shouldSwap: false });
  else event.preventDefault();
}

/**
 * Returns the server's error, if any.
 * @param {CustomEvent} event
 */
function words(event) {
  try {
    return JSON.parse(header(event, "HX-Trigger") ?? "")["documents:error"];
  } catch {
    return undefined;
  }
}

on("htmx:afterSwap htmx:after:swap", (event) => status(event) < 400 && (renewed = null));
on("htmx:beforeSwap htmx:before:swap", (event) => {
  const code = status(event);
  const source = sourceOf(event);
  if (code < 400 && source.matches(".mf-body") && isOvertaken(source)) return drop(event);
  if (source.matches("[data-mf-look]") && preview.isOld(source)) return drop(event);
  if (code < 400 || !(near(event, ".mf") ?? source.closest?.(".mf"))) return;
  const written = code < 500 && !!source.closest?.(".mf-edit") && words(event)?.code !== "edit-conflict"; // keep the entered values
  const stale = words(event)?.code === "csrf" && renewed !== source;
  const kept = written || (!!source.closest?.(".mf-form") && [401, 403].includes(code));
  const alone = kept || stale || (!header(event, "HX-Retarget") && !!source.closest?.(".mf-body, .mf-manager-head, .mf-badge-holder, [data-mf-badges], [data-mf-look]"));
  const shown = code < 500 && !alone;
  if (!shown) drop(event);
  else if (event.detail.xhr) Object.assign(event.detail, { shouldSwap: true, isError: false });
  if (stale) renew(event, source);
  else if (alone) explain(event, source);
});

/** @param {CustomEvent} event @param {Element} source of a request that was refused because a new sign-in replaced the session */
async function renew(event, source) {
  renewed = source;
  if (await unsaved.renewToken(source)) again(source);
  else explain(event, source);
}

/**
 * Repeats a request.
 * @param {Element} source
 */
function again(source) {
  if (!source.isConnected) return location.reload();
  if (source.matches(".mf-body")) return htmx().trigger(source, "documents:refresh");
  if (source.matches(".mf-next-rows")) return htmx().trigger(source, "documents:more");
  if (source instanceof HTMLFormElement) return unsaved.resend(source);
  if (source instanceof HTMLAnchorElement || source instanceof HTMLButtonElement) return source.click();
  htmx().ajax("GET", source.getAttribute("hx-get"), { source, target: source, swap: source.getAttribute("hx-swap") ?? "innerHTML" });
}

on("htmx:sendError htmx:timeout htmx:responseError htmx:error htmx:response:error", (event) => {
  const code = status(event);
  if ((event.type === "htmx:error" && !event.detail.ctx) || (code > 0 && code < 500)) return;
  explain(event, sourceOf(event));
});

/** @param {number} code */
const general = (code) => (code >= 500 ? _("Something went wrong on our end.") : code ? _("That didn’t work.") : _("Can’t reach the server. Check your connection."));

/** @param {CustomEvent} event @param {Element} source the element that requested a preview */
function explainPreview(event, source) {
  const code = status(event);
  const said = code === 404 ? _("This document no longer exists.") : (words(event)?.message ?? (code === 503 ? _("The server is busy.") : general(code)));
  preview.failed(source, code, said, Number(header(event, "Retry-After")), signInAddress());
}

/** @param {CustomEvent} event @param {Element} source */
function explain(event, source) {
  const place = placeOf(source);
  const code = status(event);
  if (source.matches("[data-mf-look]")) return explainPreview(event, source);
  if (!place || source.matches("[data-mf-badges]")) return;
  focus.forget();
  clear(place);
  const body = [404, 409].includes(code) && source.closest(".mf-doc")?.closest(".mf-body");
  const gone = body && problem(body, code === 404 ? _("This document no longer exists.") : (words(event)?.message ?? general(code)), _("Show list"));
  const said = words(event)?.message ?? general(code);
  const line = code === 401 ? signIn(place, said) : gone || (code === 404 ? notice(said) : problem(source, said));
  const head = place.querySelector(":scope > .mf-manager-head");
  const foot = place.querySelector(":scope > .mf-buttons"); // next to the submit button
  if (foot) foot.before(line);
  else head ? head.after(line) : place.prepend(line);
  if (code >= 400 && code < 500) line.querySelector("button, a")?.focus();
}

/** @param {string} text @param {HTMLElement} [way] a link or button; omitted if a retry would not help */
function notice(text, way) {
  const said = doc.createElement("p");
  const whole = doc.createElement("div");
  Object.assign(whole, { className: "mf-problem", role: "alert" });
  way?.classList.add("mf-button", "mf-small");
  said.textContent = text;
  whole.append(said, ...(way ? [way] : []));
  return /** @type {any} */ (whole);
}

/** @param {Element} source @param {string} text @param {string} [way] */
function problem(source, text, way = _("Try again")) {
  const button = doc.createElement("button");
  Object.assign(button, { type: "button", textContent: way });
  const whole = notice(text, button);
  button.addEventListener("click", () => {
    if (source.matches(".mf-next-rows")) /** @type {HTMLElement | null | undefined} */ (source.previousElementSibling?.querySelector("[data-mf-action]"))?.focus();
    else focus.remember(button);
    whole.remove();
    again(source);
  });
  return whole;
}

/** @returns {string} the sign-in URL, which leads back here unless leaving would lose changes */
function signInAddress() {
  const known = /** @type {HTMLElement | null} */ (doc.querySelector("[data-mf-sign-in]"))?.dataset.mfSignIn ?? "/sign-in";
  return pending() || unsaved.isWritten(doc) ? known : `${known}?next=${encodeURIComponent(location.pathname)}`;
}

const SIGN_IN_FIRST = _("Sign in to see these documents."); // for users without a session

/** @param {Element} place @param {string} said the server's message */
function signIn(place, said) {
  const link = doc.createElement("a");
  const waits = pending() || unsaved.isWritten(doc);
  link.href = signInAddress();
  if (waits) Object.assign(link, { target: "_blank", rel: "noopener" });
  const first = said === SIGN_IN_FIRST && !waits && !doc.querySelector("[data-mf-csrf]"); // nothing here needed a session
  link.textContent = first ? _("Sign in") : _("Sign in again");
  link.toggleAttribute("data-mf-signed-out", !!place);
  if (first) return notice(said, link);
  return notice(waits ? _("You were signed out. Sign in again in another tab, then continue here. You won’t lose what you entered.") : _("You were signed out. Sign in again to continue. Your saved changes are safe."), link);
}
