/**
 * The text of pages: an invisible layer over their pictures, in which it can be selected, and the button that copies.
 */
import { announce, near, on } from "./dom.js";
import { _ } from "./i18n.js";

/** @typedef {[text: string, left: number, top: number, width: number, height: number]} Word */

const doc = document;
const MOST = 4000; // words on a page
const FONT = 0.8; // size of the letters as a share of a word's height
/** @type {WeakSet<HTMLElement>} frames whose words have been asked for */
const covered = new WeakSet();
/** @type {CanvasRenderingContext2D | null} */
let ruler = null;

/** @param {string} text @returns {number} its width as a multiple of the font size */
function widthOf(text) {
  ruler ??= doc.createElement("canvas").getContext("2d");
  if (!ruler) return text.length / 2;
  ruler.font = "100px sans-serif";
  return ruler.measureText(text).width / 100;
}

/**
 * Adds the words of a page to its frame, once its picture is shown. Their places are set with the CSSOM, because the
 * content security policy forbids style attributes.
 * @param {HTMLElement} frame
 */
async function cover(frame) {
  const root = /** @type {HTMLElement | null} */ (frame.closest(".mf-look-in"));
  const stage = /** @type {HTMLElement | null} */ (frame.closest("[data-mf-stage]"));
  const picture = frame.querySelector("img");
  if (!root || !stage || !picture || root.dataset.mfKind === "dicom" || covered.has(frame)) return;
  covered.add(frame);
  const url = `/documents/files/${root.dataset.mfFile}/text?part=words&page=${frame.dataset.mfN}`;
  const answer = await fetch(url).catch(() => null);
  if (answer?.status !== 200 || !frame.isConnected) return; // 204: not read yet
  /** @type {Word[]} */
  const words = await answer.json();
  const width = Number(stage.dataset.mfWidth);
  const height = (width * picture.naturalHeight) / picture.naturalWidth;
  frame.append(layerOf(words.slice(0, MOST), { width, height }));
}

/** @param {Word[]} words @param {{ width: number, height: number }} size of the page at 100% */
function layerOf(words, size) {
  const layer = doc.createElement("div");
  layer.className = "mf-look-layer";
  let last = -1;
  for (const [text, left, top, width, height] of words) {
    const span = doc.createElement("span");
    const middle = top + height / 2;
    if (last >= 0) layer.append(Math.abs(middle - last) > height / 2 ? doc.createElement("br") : " ");
    last = middle;
    span.textContent = text;
    const natural = widthOf(text) * height * FONT * size.height;
    const values = { x: left, y: top, f: height * FONT, s: natural ? (width * size.width) / natural : 1 };
    for (const [name, value] of Object.entries(values)) span.style.setProperty(`--${name}`, value.toFixed(5));
    layer.append(span);
  }
  return layer;
}

/** @param {HTMLElement} button copies the text beside it */
async function copy(button) {
  const pages = [...(button.closest(".mf-text")?.querySelectorAll("[data-mf-text-of]") ?? [])];
  const text = pages.map((page) => page.textContent).join("\n\n");
  try {
    await navigator.clipboard.writeText(text);
    announce(_("Text copied"), button);
  } catch {
    const range = doc.createRange(); // not allowed here: select it, for the keys that copy
    const [first, last] = [pages[0], pages.at(-1)];
    if (!first || !last) return;
    range.setStartBefore(first);
    range.setEndAfter(last);
    getSelection()?.removeAllRanges();
    getSelection()?.addRange(range);
    announce(_("Text selected. Copy it with your keyboard."), button);
  }
}

export function start() {
  on("mf:drawn", ({ target }) => cover(target));
  on("click", (event) => {
    const button = near(event, "[data-mf-copy-text]");
    if (button) copy(button);
  });
}
