/**
 * Keys of the preview, and the tabs of a workbook's sheets.
 */
import { near } from "./dom.js";

/** @typedef {import("./preview-stage.js").Stage} Stage */
/** @typedef {{ root: HTMLElement, stage: Stage | null, walk: (where: string) => void }} Look the document shown */

const doc = document;

/** @param {HTMLElement} tab */
export function choose(tab) {
  const tabs = /** @type {HTMLElement[]} */ ([...(tab.parentElement?.children ?? [])]);
  for (const one of tabs) {
    const chosen = one === tab;
    one.setAttribute("aria-selected", String(chosen));
    one.tabIndex = chosen ? 0 : -1;
    doc.getElementById(one.getAttribute("aria-controls") ?? "")?.toggleAttribute("hidden", !chosen);
  }
  tab.focus();
}

/** @param {KeyboardEvent} event @param {Element} tab @returns {boolean} whether it was a key for tabs */
function tabKey(event, tab) {
  const tabs = /** @type {HTMLElement[]} */ ([...(tab.parentElement?.children ?? [])]);
  const at = tabs.indexOf(/** @type {HTMLElement} */ (tab));
  const next = { ArrowLeft: at - 1, ArrowRight: at + 1, Home: 0, End: tabs.length - 1 }[event.key];
  if (next === undefined) return false;
  event.preventDefault();
  choose(/** @type {HTMLElement} */ (tabs.at(next % tabs.length)));
  return true;
}

/** @type {Record<string, (look: Look) => unknown>} */
const keys = {
  ArrowLeft: (look) => pan(look, -1) || look.walk("previous"),
  ArrowRight: (look) => pan(look, 1) || look.walk("next"),
  ArrowUp: (look) => scroll(look, -1),
  ArrowDown: (look) => scroll(look, 1),
  PageUp: (look) => page(look, -1),
  PageDown: (look) => page(look, 1),
  Home: ({ stage, walk }) => (stage && stage.pages > 1 ? stage.go(1) : walk("first")),
  End: ({ stage, walk }) => (stage && stage.pages > 1 ? stage.go(stage.pages) : walk("last")),
  "+": ({ stage }) => stage?.step(1),
  "=": ({ stage }) => stage?.step(1),
  "-": ({ stage }) => stage?.step(-1),
  0: ({ stage }) => stage?.fitTo("page"),
  1: ({ stage }) => stage?.fitTo("actual"),
  w: ({ stage }) => stage?.fitTo("width"),
  r: ({ stage }) => stage?.rotate(),
  R: ({ stage }) => stage?.rotate(-1),
  "?": ({ root }) => /** @type {HTMLElement | null} */ (root.querySelector(".mf-look-help"))?.togglePopover(),
};

/** @param {Look} look @param {number} across @returns {boolean} whether anything was scrolled */
function pan({ stage }, across) {
  if (!stage || stage.element.scrollWidth <= stage.element.clientWidth + 1) return false;
  stage.element.scrollBy({ left: across * 80 });
  return true;
}

/** @param {Look} look */
const scroller = ({ root }) => root.querySelector("[data-mf-stage], [data-mf-scroll]:not([hidden])");

/** @param {Look} look @param {1 | -1} down */
function scroll(look, down) {
  const { stage } = look;
  if (stage?.kind === "dicom" && stage.pages > 1 && stage.fit) return stage.go(stage.page + down);
  scroller(look)?.scrollBy({ top: down * 80 });
}

/** @param {Look} look @param {1 | -1} down */
function page(look, down) {
  const { stage } = look;
  if (stage && stage.pages > 1) return stage.go(stage.page + down);
  const place = scroller(look);
  place?.scrollBy({ top: down * place.clientHeight * 0.9 });
}

/** @param {KeyboardEvent} event @returns {HTMLElement | null} the document shown that it is meant for */
export function aimOf(event) {
  const alone = doc.activeElement === doc.body || near(event, ".mf-look-in");
  const frame = near(event, "dialog.mf-look") ?? (alone ? doc.querySelector(".mf-look-alone") : null);
  return frame?.querySelector(".mf-look-in[data-mf-state=shown]") ?? null;
}

/** @param {KeyboardEvent} event @param {Look} look */
export function press(event, look) {
  if (event.ctrlKey || event.metaKey || event.altKey || event.defaultPrevented) return;
  const tab = near(event, "[role=tab]");
  if (tab && tabKey(event, tab)) return;
  const turns = event.key.startsWith("Page") && near(event, "input[data-mf-page-field]");
  if (near(event, "input, select, textarea") && !turns) return;
  const act = keys[event.key];
  if (!act || (near(event, "[popover]") && event.key !== "?")) return;
  event.preventDefault();
  act(look);
}
