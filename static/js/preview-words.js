/**
 * The text of pages: an invisible layer over their pictures, in which it can be selected, and the button that copies it.
 */
import { announce, near, on } from "./dom.js";
import { _ } from "./i18n.js";

/** @typedef {[text: string, left: number, top: number, width: number, height: number]} Word */

const doc = document;
const MOST = 4000; // words on a page
const FONT = 0.8; // size of the letters as a share of a word's height
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
 * @param {HTMLElement} frame @param {string} file id of the document @param {{ width: number, height: number }} size
 */
export async function cover(frame, file, size) {
  if (frame.dataset.mfWords) return;
  frame.dataset.mfWords = "asked";
  const url = `/documents/files/${file}/text?part=words&page=${frame.dataset.mfN}`;
  const answer = await fetch(url).catch(() => null);
  if (answer?.status !== 200 || !frame.isConnected) return; // 204: not read yet
  /** @type {Word[]} */
  const words = await answer.json();
  if (words.length) frame.append(layerOf(words.slice(0, MOST), size));
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
  on("click", (event) => {
    const button = near(event, "[data-mf-copy-text]");
    if (button) copy(button);
  });
}
