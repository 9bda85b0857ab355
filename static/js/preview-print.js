/**
 * The print page: ready once every image has loaded.
 */
import { near, on } from "./dom.js";
import { _, ngettext } from "./i18n.js";

/** @param {HTMLElement} page */
function tell(page) {
  const frames = /** @type {HTMLElement[]} */ ([...page.querySelectorAll("[data-mf-picture]")]);
  const open = frames.filter(({ dataset }) => dataset.mfPicture === "loading" || dataset.mfPicture === "busy").length;
  const failed = frames.filter(({ dataset }) => dataset.mfPicture === "failed").length;
  const line = page.querySelector("[data-mf-print-words]");
  const missing = ngettext(
    "%(num)s page could not be shown. See below.",
    "%(num)s pages could not be shown. See below.",
    failed,
  );
  const preparing = _("Preparing %(done)s of %(pages)s pages…", { done: frames.length - open, pages: frames.length });
  const words = open ? preparing : failed ? missing : _("Ready to print.");
  if (line && line.textContent !== words) line.textContent = words;
  page.querySelector("[data-mf-print]")?.toggleAttribute("disabled", open > 0);
}

export function start() {
  on("click", (event) => near(event, "[data-mf-print]") && print());
  const page = /** @type {HTMLElement | null} */ (document.querySelector(".mf-print"));
  if (!page) return;
  new MutationObserver(() => tell(page)).observe(page, { subtree: true, attributeFilter: ["data-mf-picture"] });
  tell(page);
}
