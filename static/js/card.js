/**
 * An insurance card shown at a desk: the screen stays on, front and back by a swipe or a button, numbers to copy.
 */
import { near, on } from "./dom.js";
import { _ } from "./i18n.js";
import { Layer } from "./layer.js";

/** @type {any} the lock that keeps the screen on */
let awake = null;

/** @returns {Promise<void>} */
async function stayAwake() {
  try {
    awake = await /** @type {any} */ (navigator).wakeLock?.request("screen");
  } catch {
    awake = null; // refused to save power: the card is shown all the same
  }
}

function release() {
  awake?.release();
  awake = null;
}

const open = () => /** @type {HTMLDialogElement | null} */ (document.querySelector("[data-mf-wallet][open]"));

const layer = new Layer("mfWallet", () => open()?.close());

/** @param {Element} sides @param {number} shown */
function mark(sides, shown) {
  const buttons = sides.closest("[data-mf-wallet]")?.querySelectorAll("[data-mf-side]");
  buttons?.forEach((button, index) => button.setAttribute("aria-pressed", String(index === shown)));
}

/** @param {HTMLElement} button */
function turn(button) {
  const sides = button.closest("[data-mf-wallet]")?.querySelector("[data-mf-sides]");
  const side = /** @type {HTMLElement | undefined} */ (sides?.children[Number(button.dataset.mfSide)]);
  if (sides && side) sides.scrollTo({ left: side.offsetLeft - (sides.clientWidth - side.offsetWidth) / 2 });
}

/** @param {Event} event */
function scrolled({ target }) {
  if (!(target instanceof Element) || !target.matches("[data-mf-sides]")) return;
  const middle = target.scrollLeft + target.clientWidth / 2;
  const sides = /** @type {HTMLElement[]} */ ([...target.children]);
  const apart = sides.map((side) => Math.abs(side.offsetLeft + side.offsetWidth / 2 - middle));
  mark(target, apart.indexOf(Math.min(...apart)));
}

/** @param {HTMLElement} button */
async function copy(button) {
  const live = button.closest("[data-mf-wallet]")?.querySelector("[data-mf-wallet-live]");
  const written = navigator.clipboard.writeText(button.dataset.mfCopyWords ?? "");
  const words = await written.then(() => _("Copied."), () => _("Couldn’t copy.")); // prettier-ignore
  if (live) live.textContent = words;
}

/** @param {Event} event the dialog was opened or closed */
function toggled({ target }) {
  if (!(target instanceof Element) || !target.matches("[data-mf-wallet]")) return;
  if (open()) {
    layer.enter();
    stayAwake();
  } else {
    layer.leave();
    release();
  }
}

export function start() {
  on("click", (event) => {
    const [side, words] = [near(event, "[data-mf-side]"), near(event, "[data-mf-copy-words]")];
    if (side) turn(side);
    if (words) copy(words);
  });
  document.addEventListener("scroll", scrolled, true);
  document.addEventListener("toggle", toggled, true);
  document.addEventListener("close", toggled, true);
  on("visibilitychange", () => document.visibilityState === "visible" && open() && stayAwake());
}
