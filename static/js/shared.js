/**
 * Pages for readers of a share link, which also work without script: zoom, pages, printing, keys, retried pictures.
 */
import { near, on } from "./dom.js";
import { start as startPictures } from "./preview-pictures.js";
import { step } from "./preview-zoom.js";

const LINE = 0.4; // of the window's height: the page that crosses it is the one being read
const main = /** @type {HTMLElement | null} */ (document.querySelector(".mf-shared-main"));
const pages = /** @type {HTMLElement[]} */ ([...document.querySelectorAll(".mf-shared-page")]);
const images = /** @type {HTMLImageElement[]} */ ([...document.querySelectorAll(".mf-shared-page img")]);
const number = document.querySelector("[data-mf-page-number]");
const whole = document.querySelector("[data-mf-zoom=page]");
let zoom = 1;

/** @returns {number} the place of the page being read, from 0 */
function current() {
  const place = pages.findIndex((page) => page.getBoundingClientRect().bottom > window.innerHeight * LINE);
  return place < 0 ? pages.length - 1 : place;
}

/** @param {number} wanted @param {boolean} [fits] whether a whole page is shown */
function show(wanted, fits = false) {
  const reading = pages[current()];
  zoom = wanted;
  main?.style.setProperty("--mf-zoom", `${zoom}`);
  whole?.setAttribute("aria-pressed", String(fits));
  for (const image of images) image.sizes = `${image.parentElement?.clientWidth}px`;
  reading?.scrollIntoView({ block: "start" });
}

/** @returns {number} the zoom at which the page being read is as high as the window */
function fitting() {
  const image = images[current()];
  return image ? Math.min(1, (window.innerHeight - 48) / (image.getBoundingClientRect().height / zoom)) : 1;
}

/** @type {Record<string, () => void>} */
const zooms = {
  in: () => show(step(zoom, 1)),
  out: () => show(step(zoom, -1)),
  page: () => (whole?.getAttribute("aria-pressed") === "true" ? show(1) : show(fitting(), true)),
};

/** @param {number} by */
function turn(by) {
  pages[Math.min(pages.length - 1, Math.max(0, current() + by))]?.scrollIntoView({ block: "start" });
}

/** Prints once every page has been loaded or has failed. */
async function printAll() {
  for (const image of images) image.loading = "eager";
  const settled = () => !document.querySelector("[data-mf-picture=loading], [data-mf-picture=busy]");
  while (!settled()) await new Promise((resolve) => requestAnimationFrame(resolve));
  print();
}

/** @type {Record<string, () => unknown>} */
const keys = {
  ArrowLeft: () => document.querySelector(/** @type {"a"} */ (".mf-shared-walk a[rel=prev]"))?.click(),
  ArrowRight: () => document.querySelector(/** @type {"a"} */ (".mf-shared-walk a[rel=next]"))?.click(),
  "+": zooms.in,
  "=": zooms.in,
  "-": zooms.out,
  0: () => show(1),
};

for (const image of images) {
  const shape = `${image.getAttribute("width")} / ${image.getAttribute("height")}`;
  image.parentElement?.style.setProperty("--mf-shape", shape);
}
startPictures();
on("scroll", () => number && (number.textContent = `${current() + 1}`));
on("click", (event) => {
  zooms[near(event, "[data-mf-zoom]")?.dataset.mfZoom]?.();
  const turned = near(event, "[data-mf-turn]");
  if (turned) turn(Number(turned.dataset.mfTurn));
  if (near(event, "[data-mf-print]")) printAll();
});
on("keydown", (event) => {
  const { altKey, ctrlKey, metaKey } = event;
  if (!altKey && !ctrlKey && !metaKey && !near(event, "input, select, textarea, [tabindex]")) keys[event.key]?.();
});
document.documentElement.classList.add("mf-js"); // shows the buttons, which work from now on
