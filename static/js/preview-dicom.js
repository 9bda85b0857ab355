/**
 * DICOM images: frames, brightness and contrast. The server renders each image; the current one stays until the next
 * has loaded.
 */
import { announce } from "./dom.js";
import * as zoom from "./preview-zoom.js";

/** @typedef {import("./preview-stage.js").Stage} Stage */

const REST = 180; // milliseconds of slider inactivity before an image is requested
const PACE = 100; // minimum milliseconds per frame during playback

export class Dicom {
  /** @param {HTMLElement} root @param {Stage} stage */
  constructor(root, stage) {
    const find = (/** @type {string} */ name) =>
      /** @type {HTMLInputElement | null} */ (root.querySelector(`[data-mf-${name}]`));
    this.root = root;
    this.stage = stage;
    this.slider = find("frame");
    this.play = find("play");
    this.center = find("center-field");
    this.width = find("width-field");
    this.presets = /** @type {HTMLElement[]} */ ([...root.querySelectorAll("[data-mf-preset]")]);
    /** @type {[number, number] | null} the file's own first window */
    this.window = null;
    this.asked = 0;
    this.playing = false;
    root.addEventListener("mf:frame", (event) => this.show(/** @type {CustomEvent} */ (event).detail));
    root.addEventListener("input", (event) => this.moved(event));
    root.addEventListener("click", (event) => this.pressed(event));
    this.startSliders();
  }

  startSliders() {
    const windows = this.presets.map(valuesOf);
    const [first] = windows;
    if (!first || !this.center || !this.width) return;
    const { center, width } = zoom.reach(windows);
    const chosen = this.presets.find((one) => one.getAttribute("aria-pressed") === "true");
    const step = String(Math.max((center[1] - center[0]) / 400, 0.001) >= 1 ? 1 : (center[1] - center[0]) / 400);
    Object.assign(this.center, { min: center[0], max: center[1], step });
    Object.assign(this.width, { min: step === "1" ? 1 : step, max: width[1], step });
    this.setSliders(chosen ? valuesOf(chosen) : first);
  }

  /** @param {[number, number]} window */
  setSliders([center, width]) {
    if (this.center) this.center.value = String(center);
    if (this.width) this.width.value = String(width);
    this.say();
  }

  say() {
    for (const [name, field] of /** @type {const} */ ([
      ["center", this.center],
      ["width", this.width],
    ])) {
      const words = this.root.querySelector(`[data-mf-${name}-words]`);
      if (words && field) words.textContent = Number(field.value).toLocaleString();
    }
  }

  /** @param {Event} event */
  moved({ target }) {
    if (target === this.slider) this.show(Number(this.slider?.value));
    if (target !== this.center && target !== this.width) return;
    this.say();
    this.choose([Number(this.center?.value), Number(this.width?.value)], REST);
  }

  /** @param {Event} event */
  pressed(event) {
    const target = /** @type {Element} */ (event.target);
    const preset = /** @type {HTMLElement | null} */ (target.closest("[data-mf-preset]"));
    if (preset) {
      event.preventDefault();
      this.setSliders(valuesOf(preset));
      this.choose(this.presets[0] === preset ? null : valuesOf(preset), 0);
      announce(`${preset.textContent?.trim()}`, this.root);
    }
    if (target.closest("[data-mf-play]")) this.playing ? this.pause() : this.start();
  }

  /** @param {[number, number] | null} window @param {number} rest */
  choose(window, rest) {
    this.window = window;
    this.pause();
    const [center, width] = window ?? (this.presets[0] ? valuesOf(this.presets[0]) : [0, 0]);
    for (const preset of this.presets)
      preset.setAttribute("aria-pressed", String(valuesOf(preset).join() === [center, width].join()));
    clearTimeout(this.timer);
    this.timer = setTimeout(() => this.draw(this.stage.page), rest);
  }

  /** @param {number} frame */
  show(frame) {
    if (this.slider) this.slider.value = String(frame);
    this.stage.settle(frame);
    clearTimeout(this.timer);
    return this.draw(frame);
  }

  /** @param {number} frame @returns {Promise<void>} resolves once loaded or superseded */
  async draw(frame) {
    const holder = /** @type {HTMLElement} */ (this.stage.column.querySelector("[data-mf-picture]"));
    const shown = /** @type {HTMLImageElement} */ (holder.querySelector("img"));
    const turn = ++this.asked;
    const change = (/** @type {string} */ url) => zoom.address(url, frame, this.window);
    const next = /** @type {HTMLImageElement} */ (shown.cloneNode());
    next.loading = "eager"; // lazy images outside the page never load
    next.alt = shown.alt.replace(/\d+/, String(frame));
    next.srcset = zoom.eachAddress(shown.srcset, change);
    next.src = change(shown.src);
    if (!this.playing) this.late = setTimeout(() => turn === this.asked && (holder.dataset.mfPicture = "loading"), 400);
    const came = await next.decode().then(() => true, () => false); // prettier-ignore
    clearTimeout(this.late);
    if (turn !== this.asked || !holder.isConnected) return;
    holder.dataset.mfPicture = came ? "shown" : "loading";
    if (came) holder.querySelector(".mf-look-broken")?.remove();
    shown.replaceWith(next);
    if (!came) Object.assign(next, { src: next.src }); // reload in place to show the error
  }

  async start() {
    this.playing = true;
    this.play?.setAttribute("aria-pressed", "true");
    while (this.playing && this.root.isConnected) {
      const pause = new Promise((resolve) => setTimeout(resolve, PACE));
      await Promise.all([this.show((this.stage.page % this.stage.pages) + 1), pause]);
    }
  }

  pause() {
    this.playing = false;
    this.play?.setAttribute("aria-pressed", "false");
  }
}

/** @param {HTMLElement} preset @returns {[number, number]} */
function valuesOf({ dataset }) {
  const [center = 0, width = 1] = (dataset.mfPreset ?? "").split(",").map(Number);
  return [center, width];
}
