/**
 * The rail of the preview: a small picture of every page beside the stage.
 */
import { _ } from "./i18n.js";
import * as zoom from "./preview-zoom.js";

/** @typedef {import("./preview-stage.js").Stage} Stage */

/**
 * Shows the pages around one of them.
 * @param {Stage} stage @param {number} page
 */
export function fill(stage, page) {
  const { rail, size } = stage;
  if (!rail) return;
  const [from, to] = zoom.around(page, stage.pages, zoom.MOST);
  rail.style.setProperty("--ratio", String(size.width / Math.max(size.height, size.width / 2)));
  rail.replaceChildren(...Array.from({ length: to - from + 1 }, (_, index) => leaf(stage, from + index)));
  mark(stage);
}

/** @param {Stage} stage @param {number} number */
function leaf({ thumb, word }, number) {
  const button = document.createElement("button");
  const tile = document.createElement("span");
  const words = document.createElement("span");
  const picture = new Image(160, 160);
  Object.assign(button, { type: "button", className: "mf-look-leaf" });
  Object.assign(button.dataset, { mfGo: String(number), mfKey: `leaf-${number}` });
  Object.assign(picture, { alt: "", loading: "lazy", decoding: "async", src: zoom.address(thumb, number) });
  tile.className = "mf-look-sheet";
  words.textContent = String(number);
  button.setAttribute("aria-label", _("%(page)s %(number)s", { page: word, number }));
  tile.append(picture);
  button.append(tile, words);
  return button;
}

/**
 * Marks the current page, and scrolls to it.
 * @param {Stage} stage
 */
export function mark(stage) {
  const { rail, page } = stage;
  if (!rail) return;
  rail.querySelector("[aria-current]")?.removeAttribute("aria-current");
  const leaf = /** @type {HTMLElement | null} */ (rail.querySelector(`[data-mf-go="${page}"]`));
  if (!leaf) return rail.children.length ? fill(stage, page) : undefined;
  leaf.setAttribute("aria-current", "true");
  const top = leaf.offsetTop - (rail.clientHeight - leaf.offsetHeight) / 2;
  rail.scrollTo({ top, left: leaf.offsetLeft - (rail.clientWidth - leaf.offsetWidth) / 2 });
}
