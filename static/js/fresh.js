/**
 * Keeps lists up to date with other widgets, tabs and users, without interrupting the user.
 */
import { announce, near, on } from "./dom.js";
import { htmx, listen } from "./host.js";
import { _ } from "./i18n.js";

const CALM_AFTER = 3_000; // milliseconds a tab must be hidden before its widgets refresh
/** @type {BroadcastChannel | undefined} to other tabs */
let channel;
/** @type {Map<string, Set<string>>} lists to refresh until they contain these rows; "" means always */
const stale = new Map();
/** the widget whose own change is pending; the response will show it */
let busy = "";
let left = 0;

/** @param {string} prefix */
export const acting = (prefix) => (busy = prefix);

/**
 * Refreshes a list now, or once its pending request has ended.
 * @param {HTMLElement | null} body @param {string} [row] if the list contains this row by then, it is not refreshed
 */
export function refresh(body, row = "") {
  if (!body) return;
  stale.set(body.id, (stale.get(body.id) ?? new Set()).add(row));
  if (!body.matches(".htmx-request")) htmx()?.trigger(body, "documents:refresh");
}

/**
 * Returns whether a request that the user made there is pending.
 * @param {Element} body
 */
const isActing = (body) => !!body.querySelector("[hx-post].htmx-request");

function catchUp() {
  for (const [id, rows] of stale) {
    const body = document.getElementById(id);
    if (!body || body.matches(".htmx-request") || isActing(body)) continue;
    if ([...rows].every((row) => row && document.getElementById(row))) stale.delete(id);
    else isCalm(body) ? refresh(body) : offer(body);
  }
}

/** @param {Element} body @returns {boolean} whether the response is older than the user's latest action */
export function isOvertaken(body) {
  const acting = isActing(body);
  if (acting) stale.set(body.id, new Set([""]));
  if (acting || isCalm(body) || !stale.has(body.id)) return acting;
  offer(body);
  return true;
}

/**
 * Returns whether the user is not working there.
 * @param {Element} body
 */
const isCalm = (body) =>
  !body.contains(document.activeElement) &&
  !body.querySelector(".mf-edit, .mf-twin, [data-mf-action=undo], dialog[open], input[name=file_ids]:checked");
/**
 * Returns whether only the first page is shown.
 * @param {Element} body
 */
const isShort = (body) => body.querySelectorAll("[data-mf-row]").length <= 50;

/** @param {Element} body */
function offer(body) {
  stale.delete(body.id);
  if (body.querySelector("[data-mf-show-changes]")) return;
  const line = document.createElement("div");
  const words = document.createElement("p");
  const button = document.createElement("button");
  Object.assign(line, { className: "mf-notice mf-notice-warning" });
  Object.assign(button, { className: "mf-button mf-small", type: "button", textContent: _("Show changes") });
  button.setAttribute("data-mf-show-changes", "");
  button.setAttribute("data-mf-action", "changes");
  words.textContent = _("This list has changed.");
  line.append(words, button);
  body.prepend(line);
  announce(words.textContent, body);
}

/**
 * Marks a pending response as outdated, because the list has just changed.
 * @param {HTMLElement} body
 */
function overtake(body) {
  if (body.matches(".htmx-request")) stale.set(body.id, new Set([""]));
  catchUp();
}

/** @param {CustomEvent} event */
function documentsChanged(event) {
  const { target, detail } = event;
  if (!detail?.type) return;
  const own = near(event, ".mf-manager, .mf-body")?.id.replace(/-body$/, "");
  if (!detail.remote) channel?.postMessage({ type: detail.type, id: detail.id, count: detail.count });
  for (const body of /** @type {NodeListOf<HTMLElement>} */ (
    document.querySelectorAll(
      `[data-mf-body][data-mf-type="${CSS.escape(detail.type)}"][data-mf-id="${CSS.escape(detail.id)}"]`,
    )
  )) {
    const ours = !detail.remote && body.id.replace(/-body$/, "") === (own || busy);
    if (ours && target !== document.getElementById(own))
      overtake(body); // otherwise the upload queue announces it and adds its row
    else if (!ours) isCalm(body) && isShort(body) ? refresh(body) : offer(body);
  }
}

function lookAgain() {
  if (document.visibilityState === "hidden") return void (left = Date.now());
  if (!left || Date.now() - left < CALM_AFTER) return;
  left = 0;
  document.dispatchEvent(new CustomEvent("documents:look"));
  for (const body of /** @type {NodeListOf<HTMLElement>} */ (document.querySelectorAll("[data-mf-body][data-mf-id]"))) {
    if (isCalm(body) && isShort(body)) refresh(body);
  }
}

export function start() {
  on("visibilitychange", lookAgain);
  on("documents:changed", documentsChanged);
  listen("request", ({ source }) => stale.delete(source.id));
  listen("settled", catchUp);
  channel = new BroadcastChannel("medfiles");
  channel.addEventListener("message", ({ data }) =>
    document.dispatchEvent(new CustomEvent("documents:changed", { detail: { ...data, remote: true } })),
  );
}
