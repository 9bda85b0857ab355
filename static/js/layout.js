/**
 * List or grid: how documents are laid out. A cookie remembers it, so that a page starts with it.
 */
import { near, on } from "./dom.js";

const YEAR = 365 * 24 * 60 * 60;
const doc = document;

const chosen = () => (/(?:^|; )mf-layout=grid(?:;|$)/.test(doc.cookie) ? "grid" : "list");

/** Lays every list out as chosen; after any swap. */
export function lay() {
  const layout = chosen();
  const bodies = doc.querySelectorAll("[data-mf-view=list][data-mf-layout]");
  bodies.forEach((body) => body.setAttribute("data-mf-layout", layout));
  for (const button of doc.querySelectorAll("[data-mf-layout-as]")) {
    button.setAttribute("aria-pressed", String(button.getAttribute("data-mf-layout-as") === layout));
  }
}

/** @param {Event} event */
function pressed(event) {
  const button = near(event, "[data-mf-layout-as]");
  if (!button) return;
  doc.cookie = `mf-layout=${button.getAttribute("data-mf-layout-as")}; Path=/; Max-Age=${YEAR}; SameSite=Lax`;
  lay();
}

export function start() {
  on("click", pressed);
}
