/**
 * Handles the widget's requests and responses: adds the CSRF token, shows errors in place, offers retries.
 */
import { near } from "./dom.js";
import * as focus from "./focus.js";
import { isOvertaken } from "./fresh.js";
import { htmx, listen } from "./host.js";
import { _ } from "./i18n.js";
import * as preview from "./preview.js";
import * as unsaved from "./unsaved.js";
import { pending } from "./upload.js";

/** @typedef {import("./host.js").Exchange} Exchange */

const doc = document;
/** @type {Element | null} the element whose request was repeated with a fresh token */
let renewed = null;

const PLACES = `.mf-edit, .mf-form, .mf-next-rows td, .mf-badge-holder, .mf-body, .mf-manager, .mf-record, .mf-sheet,
  #mf-cards, .mf-main, .mf`;
/** @param {EventTarget | null} source @returns {Element | null} the part of the page in which to show the error */
const placeOf = (source) =>
  source instanceof Element
    ? (source.querySelector(":scope > tr > td > [data-mf-more]") ?? source).closest(PLACES)
    : null;
/** @param {Element | null} place */
const clear = (place) => place?.querySelectorAll(":scope > .mf-problem").forEach((old) => old.remove());

const OURS = ".mf-manager, .mf-body, .mf-badge-holder, .mf-look";
const SMALL = ".mf-body, .mf-manager-head, .mf-badge-holder, [data-mf-badges], [data-mf-look]";
const GONE = _("This document no longer exists.");
const CORE = /^(HX-.*|Accept|Content-Type)$/i;

/**
 * @param {Exchange} exchange
 * @returns {boolean} whether its response would discard unsaved changes and the user declined that
 */
function isUnwelcome({ event: { target: place }, target }) {
  const form = place instanceof Element ? place.closest(".mf-edit") : null;
  return !form && !!target?.closest?.(".mf-body") && unsaved.isWritten(target) && !unsaved.mayLose();
}

/**
 * Adds the CSRF token to our requests, and removes the headers that a host page adds to all requests.
 * @param {Exchange} exchange
 */
function addToken(exchange) {
  const { event, headers } = exchange;
  if (isUnwelcome(exchange)) return event.preventDefault();
  clear(placeOf(event.target));
  const source = event.target instanceof Element ? event.target : doc.body;
  const token = source.closest(".mf")?.closest("[data-mf-csrf]")?.getAttribute("data-mf-csrf");
  if (source.closest(OURS)) {
    Object.keys(headers).forEach((name) => CORE.test(name) || delete headers[name]);
    exchange.inheritNothing(source);
  }
  if (token) headers["X-CSRFToken"] = token;
}

/**
 * Returns the server's error, if any.
 * @param {Exchange} exchange
 */
function words(exchange) {
  try {
    return JSON.parse(exchange.header("HX-Trigger") ?? "")["documents:error"];
  } catch {
    return undefined;
  }
}

/** @param {Exchange} exchange @returns {boolean} whether the page has moved on since the request */
function isLate({ status, source }) {
  if (source.matches(".mf-body")) return status < 400 && isOvertaken(source);
  return source.matches("[data-mf-look]") && preview.isOld(source);
}

/**
 * Decides whether a response is swapped in; an error is, unless that would lose something.
 * @param {Exchange} exchange
 */
function decide(exchange) {
  const { event, source, status } = exchange;
  if (isLate(exchange)) return exchange.drop();
  if (status < 400 || !(near(event, ".mf") ?? source.closest?.(".mf"))) return;
  const { code } = words(exchange) ?? {};
  const written = status < 500 && !!source.closest?.(".mf-edit") && code !== "edit-conflict"; // keep the entered values
  const stale = code === "csrf" && renewed !== source;
  const kept = written || (!!source.closest?.(".mf-form") && [401, 403].includes(status));
  const alone = kept || stale || (!exchange.header("HX-Retarget") && !!source.closest?.(SMALL));
  if (status < 500 && !alone) exchange.accept();
  else exchange.drop();
  if (stale) renew(exchange);
  else if (alone) explain(exchange);
}

listen("configure", addToken);
listen(
  "init",
  ({ event }) => near(event, OURS) && near(event, "[hx-get], [hx-post]") !== event.target && event.preventDefault(),
); // no boosted links
listen("response", (exchange) => exchange.follow());
listen("swapped", ({ status }) => status < 400 && (renewed = null));
listen("swap", decide);
listen("swap", (exchange) => exchange.isDropped || exchange.dropStyles());
listen("failed", (exchange) => (exchange.status && exchange.status < 500) || explain(exchange));

/** @param {Exchange} exchange that was refused because a new sign-in replaced the session */
async function renew(exchange) {
  renewed = exchange.source;
  if (await unsaved.renewToken(exchange.source)) again(exchange.source);
  else explain(exchange);
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
  htmx().ajax("GET", source.getAttribute("hx-get"), {
    source,
    target: source,
    swap: source.getAttribute("hx-swap") ?? "innerHTML",
  });
}

/** @param {number} code */
const general = (code) =>
  code >= 500
    ? _("Something went wrong on our end.")
    : code
      ? _("That didn’t work.")
      : _("Can’t reach the server. Check your connection.");

/** @param {Exchange} exchange that a preview was requested with */
function explainPreview(exchange) {
  const { source, status } = exchange;
  const usual = status === 503 ? _("The server is busy.") : general(status);
  const said = status === 404 ? GONE : (words(exchange)?.message ?? usual);
  preview.failed(source, status, said, Number(exchange.header("Retry-After")), signInAddress());
}

/** @param {Exchange} exchange */
function explain(exchange) {
  const { source, status: code } = exchange;
  const place = placeOf(source);
  if (source.matches("[data-mf-look]")) return explainPreview(exchange);
  if (!place || source.matches("[data-mf-badges]")) return;
  focus.forget();
  clear(place);
  const body = [404, 409].includes(code) && source.closest(".mf-doc")?.closest(".mf-body");
  const said = words(exchange)?.message ?? general(code);
  const gone = body && problem(body, code === 404 ? GONE : said, _("Show list"));
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
    if (source.matches(".mf-next-rows"))
      /** @type {HTMLElement | null | undefined} */ (
        source.previousElementSibling?.querySelector("[data-mf-action]")
      )?.focus();
    else focus.remember(button);
    whole.remove();
    again(source);
  });
  return whole;
}

/** @returns {string} the sign-in URL, which leads back here unless leaving would lose changes */
function signInAddress() {
  const known =
    /** @type {HTMLElement | null} */ (doc.querySelector("[data-mf-sign-in]"))?.dataset.mfSignIn ?? "/sign-in";
  return pending() || unsaved.isWritten(doc) ? known : `${known}?next=${encodeURIComponent(location.pathname)}`;
}

const SIGN_IN_FIRST = _("Sign in to see these documents."); // for users without a session

/** @param {Element} place @param {string} said the server's message */
function signIn(place, said) {
  const link = doc.createElement("a");
  const waits = pending() || unsaved.isWritten(doc);
  link.href = signInAddress();
  if (waits) Object.assign(link, { target: "_blank", rel: "noopener" });
  // nothing here needed a session
  const first = said === SIGN_IN_FIRST && !waits && !doc.querySelector("[data-mf-csrf]");
  link.textContent = first ? _("Sign in") : _("Sign in again");
  link.toggleAttribute("data-mf-signed-out", !!place);
  if (first) return notice(said, link);
  return notice(
    waits
      ? _("You were signed out. Sign in again in another tab, then continue here. You won’t lose what you entered.")
      : _("You were signed out. Sign in again to continue. Your saved changes are safe."),
    link,
  );
}
