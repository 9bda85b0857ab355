/**
 * Older entries that load at the end of a list, and the timeline, which is refreshed with all that it has loaded.
 */
import { on } from "./dom.js";

/** @type {Element | null} what stands before the link to older entries while they load */
let before = null;
let focused = false;

/** @param {CustomEvent} event */
function leaving({ detail }) {
  const link = /** @type {Element | null} */ ((detail.ctx?.target ?? detail.target)?.closest?.(".mf-older") ?? null);
  if (!link) return;
  before = link.previousElementSibling;
  focused = link.contains(document.activeElement);
}

function loaded() {
  if (!before) return;
  if (focused) /** @type {HTMLElement | null | undefined} */ (before.nextElementSibling?.querySelector("a"))?.focus();
  const timeline = before.closest("#mf-timeline");
  before = null;
  if (!timeline) return;
  const url = new URL(timeline.getAttribute("hx-get") ?? "", location.href);
  url.searchParams.set("pages", String(Number(url.searchParams.get("pages") ?? 1) + 1));
  timeline.setAttribute("hx-get", url.pathname + url.search);
}

export function start() {
  on("htmx:beforeSwap htmx:before:swap", leaving);
  on("htmx:afterSwap htmx:after:swap", loaded);
}
