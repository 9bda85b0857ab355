/**
 * The stage of the preview: pages or one image, zoom and rotation.
 */
import { announce } from "./dom.js";
import { _ } from "./i18n.js";
import * as gestures from "./preview-gestures.js";
import * as rail from "./preview-rail.js";
import * as zoom from "./preview-zoom.js";

/** @typedef {import("./preview-zoom.js").Fit} Fit */
/** @typedef {import("./preview-zoom.js").Size} Size */
/** @typedef {import("./preview-zoom.js").Point} Point */

const EDGE = 24; // load more when this many pages from either end of the loaded range
const CALM = 120; // milliseconds without change before images of the new size are requested

export class Stage {
  /**
   * @param {HTMLElement} root preview root
   * @param {(direction: 1 | -1) => void} walk opens another document on a swipe
   */
  constructor(root, walk) {
    const find = (/** @type {string} */ name) => /** @type {HTMLElement} */ (root.querySelector(`[data-mf-${name}]`));
    this.root = root;
    this.walk = walk;
    this.element = find("stage");
    this.column = find("column");
    this.rail = /** @type {HTMLElement | null} */ (root.querySelector("[data-mf-rail]"));
    this.kind = root.dataset.mfKind ?? "image";
    const { mfPages, mfPage, mfWidth, mfHeight, mfPageWord = _("Page"), mfThumbSrc = "" } = this.element.dataset;
    this.pages = Number(mfPages);
    this.page = Number(mfPage);
    this.word = mfPageWord;
    this.thumb = mfThumbSrc;
    /** @type {Size} */
    this.size = { width: Number(mfWidth), height: Number(mfHeight) };
    this.quarters = 0;
    this.scale = 1;
    /** @type {Fit} */
    this.fit = "page";
    /** @type {[number, number]} */
    this.range = [this.page, this.page];
    /** @type {number[]} */
    this.edges = [];
    /** @type {{ page: number, top: number } | null} */
    this.went = null; // the page last navigated to, until the user scrolls
    this.first = /** @type {HTMLElement} */ (this.column.firstElementChild);
    this.paged = this.kind === "pages" && this.pages > 1;
    this.measure(this.first);
    if (this.paged && this.isNarrow()) this.fit = "width";
    if (this.isTape()) this.fit = this.size.width > this.room().width ? "width" : "actual";
    this.refit();
    if (this.paged) this.fill(this.page);
    else rail.fill(this, this.page);
    this.listen();
    this.refit();
    if (this.paged) this.show(this.page);
    this.sharpen();
  }

  /** On narrow screens, the width is fitted; on wide ones, the whole page. */
  isNarrow() {
    return this.element.clientWidth < 600;
  }

  /* Pages */

  /** @param {HTMLElement} frame @param {Size} [size] */
  measure(frame, size = this.size) {
    frame.style.setProperty("--w", String(size.width));
    frame.style.setProperty("--h", String(size.height));
  }

  /** @param {number} number @returns {HTMLElement} */
  frame(number) {
    const known = /** @type {HTMLElement | null} */ (this.column.querySelector(`[data-mf-n="${number}"]`));
    if (known) return known;
    const frame = /** @type {HTMLElement} */ (this.first.cloneNode(true));
    const picture = /** @type {HTMLImageElement} */ (frame.querySelector("img"));
    const change = (/** @type {string} */ url) => zoom.address(url, number);
    frame.dataset.mfN = String(number);
    frame.dataset.mfPicture = "loading";
    frame.querySelectorAll(".mf-look-broken, .mf-look-layer, .mf-rings").forEach((part) => part.remove());
    picture.loading = "lazy";
    picture.alt = picture.alt.replace(/\d+/, String(number));
    picture.sizes = `${Math.max(1, Math.round(this.size.width * this.scale))}px`;
    picture.srcset = zoom.eachAddress(picture.srcset, change);
    picture.src = change(picture.src);
    this.measure(frame);
    return frame;
  }

  /** @param {number} page center of the kept range */
  fill(page) {
    this.range = zoom.around(page, this.pages, zoom.MOST);
    const [from, to] = this.range;
    const frames = Array.from({ length: to - from + 1 }, (_, index) => this.frame(from + index));
    this.column.replaceChildren(...frames);
    rail.fill(this, page);
    this.edges = [];
  }

  /**
   * Makes a page the current one.
   * @param {number} page
   */
  settle(page) {
    if (page === this.page) return false;
    this.page = page;
    const field = /** @type {HTMLInputElement | null} */ (this.root.querySelector("[data-mf-page-field]"));
    if (field && document.activeElement !== field) field.value = String(page);
    rail.mark(this);
    return true;
  }

  /** @param {number} page */
  show(page) {
    const [from, to] = this.range;
    if (page < from || page > to) this.fill(page);
    const frame = this.frame(page);
    this.settle(page);
    this.element.scrollTo({ top: frame.offsetTop - 16 });
    this.went = { page, top: this.element.scrollTop };
  }

  /** @param {number} page to navigate to */
  go(page) {
    const wanted = zoom.pageOf(String(page), this.pages, this.page);
    if (this.paged) this.show(wanted);
    else this.root.dispatchEvent(new CustomEvent("mf:frame", { detail: wanted }));
    const field = /** @type {HTMLInputElement | null} */ (this.root.querySelector("[data-mf-page-field]"));
    if (field) field.value = String(wanted);
    announce(_("%(page)s %(number)s of %(pages)s", { page: this.word, number: wanted, pages: this.pages }), this.root);
  }

  /** Updates the current page: the one navigated to or, after scrolling, the one at a third of the stage's height. */
  scrolled() {
    if (!this.paged) return;
    const [from, to] = this.range;
    const frames = /** @type {HTMLElement[]} */ ([...this.column.children]);
    if (!this.edges.length) this.edges = frames.map((one) => one.offsetTop + one.offsetHeight);
    const { scrollTop, clientHeight, scrollHeight } = this.element;
    const end = scrollTop + clientHeight >= scrollHeight - 2;
    clearTimeout(this.later);
    this.later = setTimeout(() => this.sharpen(), CALM);
    if (this.went && Math.abs(scrollTop - this.went.top) > 2) this.went = null;
    const page =
      this.went?.page ?? from + (end ? frames.length - 1 : zoom.pageAt(this.edges, scrollTop + clientHeight / 3));
    this.settle(page);
    if ((page - from < EDGE && from > 1) || (to - page < EDGE && to < this.pages)) this.recentre(page);
  }

  /** @param {number} page stays in place while others are added around it */
  recentre(page) {
    const before = this.frame(page).getBoundingClientRect().top;
    this.fill(page);
    this.element.scrollTop += this.frame(page).getBoundingClientRect().top - before;
    if (this.went) this.went.top = this.element.scrollTop;
  }

  /** @param {HTMLElement} frame of a page with its own size */
  drawn(frame) {
    const picture = frame.querySelector("img");
    if (!picture || this.kind !== "pages") return;
    const ratio = picture.naturalHeight / picture.naturalWidth;
    if (Math.abs(ratio - this.size.height / this.size.width) < 0.02) return;
    this.measure(frame, { width: this.size.width, height: Math.round(this.size.width * ratio) });
    this.edges = [];
    if (this.went) this.show(this.went.page); // the height of this or a previous page has changed
  }

  /* Size */

  /** Whether the image is so tall that it would be a thin strip if fitted whole. */
  isTape() {
    return this.kind === "image" && this.size.height > 3 * this.size.width;
  }

  /** @returns {Size} space available for the image, inside the padding: what fits must not scroll */
  room() {
    const space = 2 * Number.parseFloat(getComputedStyle(this.column).paddingLeft); // the same on every side
    return { width: this.element.clientWidth - space, height: this.element.clientHeight - space };
  }

  /** @param {Fit} fit */
  scaleOf(fit) {
    return zoom.fitted(fit, this.room(), zoom.turned(this.size, this.quarters), this.kind !== "image");
  }

  refit() {
    if (this.fit) this.resize(this.scaleOf(this.fit));
    this.mark();
  }

  /** @param {Fit} fit */
  fitTo(fit) {
    const page = this.page;
    this.fit = fit;
    this.refit();
    if (this.paged) this.show(page);
    this.tell();
  }

  /** @param {number} scale @param {Point} [point] in the window that stays fixed; default: the center */
  zoomTo(scale, point) {
    const box = this.element.getBoundingClientRect();
    const held = point ?? { x: box.left + box.width / 2, y: box.top + box.height / 2 };
    const frame = this.under(held);
    const before = frame.getBoundingClientRect();
    const [across, down] = [(held.x - before.left) / before.width, (held.y - before.top) / before.height];
    this.fit = "";
    this.resize(zoom.within(scale));
    const after = frame.getBoundingClientRect();
    this.element.scrollBy({
      left: after.left + across * after.width - held.x,
      top: after.top + down * after.height - held.y,
      behavior: "instant",
    });
    this.mark();
  }

  /** @param {Point} point @returns {HTMLElement} */
  under({ x, y }) {
    const found = document.elementsFromPoint(x, y).find((one) => one.parentElement === this.column);
    return /** @type {HTMLElement} */ (
      found ?? this.column.querySelector(`[data-mf-n="${this.page}"]`) ?? this.column.firstElementChild
    );
  }

  /** @param {1 | -1} direction */
  step(direction) {
    this.zoomTo(zoom.step(this.scale, direction));
    this.tell();
  }

  rotate(quarters = 1) {
    const page = this.page;
    this.quarters = (this.quarters + quarters + 4) % 4;
    this.column.dataset.mfQuarters = String(this.quarters);
    if (!this.fit) this.fit = "page";
    this.refit();
    if (this.paged) this.show(page);
    const degrees = this.quarters * 90;
    announce(degrees ? _("Rotated %(degrees)s degrees", { degrees }) : _("Upright"), this.root);
  }

  /** @param {number} scale */
  resize(scale) {
    this.scale = scale;
    this.edges = [];
    this.column.style.setProperty("--mf-scale", String(scale));
    clearTimeout(this.later);
    this.later = setTimeout(() => this.sharpen(), CALM);
  }

  /** Requests visible images at display size; others once they become visible. */
  sharpen() {
    const across = `${Math.max(1, Math.round(this.size.width * this.scale))}px`;
    const { top, bottom } = this.element.getBoundingClientRect();
    for (const frame of this.column.children) {
      const box = frame.getBoundingClientRect();
      const picture = frame.querySelector("img");
      if (picture && box.bottom > top - 200 && box.top < bottom + 200 && picture.sizes !== across)
        picture.sizes = across;
    }
  }

  mark() {
    const percent = this.root.querySelector("[data-mf-percent]");
    const words = `${Math.round(this.scale * 100)}%`;
    if (percent) percent.textContent = words;
    percent?.setAttribute("aria-label", _("%(zoom)s, show at 100%", { zoom: words }));
    for (const name of ["width", "page"])
      this.root.querySelector(`[data-mf-zoom=${name}]`)?.setAttribute("aria-pressed", String(this.fit === name));
    const { scrollWidth, clientWidth, scrollHeight, clientHeight } = this.element;
    this.element.toggleAttribute("data-mf-pans", scrollWidth > clientWidth + 1 || scrollHeight > clientHeight + 1);
  }

  tell() {
    announce(_("Zoom %(percent)s percent", { percent: Math.round(this.scale * 100) }), this.root);
  }

  listen() {
    let waiting = false;
    const next = () => {
      waiting = false;
      this.scrolled();
    };
    this.element.addEventListener("scroll", () => !waiting && (waiting = true) && requestAnimationFrame(next));
    this.element.addEventListener("mf:drawn", (event) => this.drawn(/** @type {HTMLElement} */ (event.target)));
    gestures.listen(this);
    this.watch = new ResizeObserver(() => this.fit && this.refit());
    this.watch.observe(this.element);
  }

  stop() {
    clearTimeout(this.later);
    this.watch?.disconnect();
  }
}
