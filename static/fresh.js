/**
 * Staying up to date with what other widgets, other tabs and other people do, without taking anything away from
 * somebody who is in the middle of something.
 */
import { announce, htmx, on } from "./dom.js";

const CALM_AFTER = 3_000; // milliseconds a tab must have been away before its widgets look again
/** @type {BroadcastChannel | undefined} to other tabs */
let channel;
/** @type {Set<string>} lists that have to ask anew: what they show, or wait for, is older than a change */
const stale = new Set();
/** the widget that changes something itself: its own answer shows it */
let busy = "";
let left = 0;

/** @param {string} prefix */
export const acting = (prefix) => (busy = prefix);

/** @param {HTMLElement | null} body asks anew; when it waits for an answer or has just come, as soon as that is over */
export function refresh(body) {
  if (!body) return;
  stale.add(body.id);
  if (!body.matches(".htmx-request")) htmx()?.trigger(body, "documents:refresh");
}

/** @param {CustomEvent} event */
const asked = ({ detail, target }) => stale.delete((detail.ctx?.sourceElement ?? detail.elt ?? target).id);
const catchUp = () => stale.forEach((id) => refresh(document.getElementById(id)));

/** @param {Element} body @returns {boolean} whether the answer it gets now is older than what somebody does in it */
export function isOvertaken(body) {
  if (isCalm(body) || !stale.delete(body.id)) return false;
  offer(body);
  return true;
}

/** @param {Element} body nobody is in the middle of something in it */
const isCalm = (body) => !body.contains(document.activeElement) && !body.querySelector(".mf-edit, .mf-twin, [data-mf-action=undo], dialog[open], input[name=file_ids]:checked");
/** @param {Element} body as it was first shown, without further pages */
const isShort = (body) => body.querySelectorAll("[data-mf-row]").length <= 50;

/** @param {Element} body */
function offer(body) {
  if (body.querySelector("[data-mf-show-changes]")) return;
  const line = document.createElement("div");
  const words = document.createElement("p");
  const button = document.createElement("button");
  Object.assign(line, { className: "mf-notice mf-notice-warning" });
  Object.assign(button, { className: "mf-button mf-small", type: "button", textContent: "Show the changes" });
  button.setAttribute("data-mf-show-changes", "");
  button.setAttribute("data-mf-action", "changes");
  words.textContent = "This list was changed somewhere else.";
  line.append(words, button);
  body.prepend(line);
  announce(words.textContent, body);
}

/** @param {CustomEvent} event */
function documentsChanged({ target, detail }) {
  if (!detail?.type) return;
  const own = target instanceof Element ? target.closest(".mf-manager, .mf-body")?.id.replace(/-body$/, "") : "";
  if (!detail.remote) channel?.postMessage({ type: detail.type, id: detail.id, count: detail.count });
  for (const body of /** @type {NodeListOf<HTMLElement>} */ (document.querySelectorAll(`[data-mf-body][data-mf-type="${CSS.escape(detail.type)}"][data-mf-id="${CSS.escape(detail.id)}"]`))) {
    const overtaken = body.matches(".htmx-request"); // the answer it waits for was asked for before this change
    if (!detail.remote && body.id.replace(/-body$/, "") === (own || busy)) overtaken && refresh(body);
    else isCalm(body) && isShort(body) ? refresh(body) : offer(body);
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
  on("htmx:beforeRequest htmx:before:request", asked);
  on("htmx:afterSettle htmx:after:swap", catchUp);
  channel = new BroadcastChannel("medfiles");
  channel.addEventListener("message", ({ data }) => document.dispatchEvent(new CustomEvent("documents:changed", { detail: { ...data, remote: true } })));
}
