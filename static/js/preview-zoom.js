/**
 * Arithmetic for the preview: zoom, pages, URLs. Independent of the DOM.
 */

/** @typedef {{ width: number, height: number }} Size */
/** @typedef {{ x: number, y: number }} Point */
/** @typedef {"page" | "width" | "actual" | ""} Fit */

export const MOST = 400; // pages in the DOM at once
const STEPS = [0.1, 0.25, 0.33, 0.5, 0.67, 0.75, 1, 1.25, 1.5, 2, 3, 4, 6, 8];
const SMALLEST = 0.02;
const LARGEST = 8;
const PICTURE = /^(.*-v\d+w\d+)(c\w+)?\/\d+\.webp$/;

/** @param {number} scale */
export const within = (scale) => Math.min(LARGEST, Math.max(SMALLEST, scale));

/** @param {number} scale @param {1 | -1} direction @returns {number} the next distinct zoom step */
export function step(scale, direction) {
  const further = direction > 0 ? STEPS.find((one) => one > scale * 1.02) : STEPS.findLast((one) => one < scale / 1.02);
  return within(further ?? scale);
}

/** @param {Size} size @param {number} quarters of a turn to the right @returns {Size} */
export const turned = ({ width, height }, quarters) =>
  quarters % 2 ? { width: height, height: width } : { width, height };

/**
 * @param {Fit} fit
 * @param {Size} room
 * @param {Size} size
 * @param {boolean} [grows] whether a small image is enlarged to fit, as for pages of text
 */
export function fitted(fit, room, size, grows = false) {
  if (fit === "actual" || !size.width || !size.height) return 1;
  const across = room.width / size.width;
  const whole = Math.min(across, room.height / size.height);
  return within(fit === "width" ? across : grows ? whole : Math.min(1, whole));
}

/** @param {Point[]} fingers @returns {{ apart: number, middle: Point }} of the first two */
export function pinched([one = { x: 0, y: 0 }, two = one]) {
  return {
    apart: Math.hypot(one.x - two.x, one.y - two.y),
    middle: { x: (one.x + two.x) / 2, y: (one.y + two.y) / 2 },
  };
}

/**
 * @param {number} delta of a wheel
 * @param {number} mode lines or pages instead of pixels
 * @returns {number} zoom factor
 */
export const wheeled = (delta, mode = 0) => Math.exp(-Math.max(-60, Math.min(60, delta * (mode ? 20 : 1))) / 180);

/**
 * @param {string} text
 * @param {number} pages
 * @param {number} now
 * @returns {number} the entered page, or the current one
 */
export function pageOf(text, pages, now) {
  const number = Number.parseInt(text.trim(), 10);
  return Number.isNaN(number) ? now : Math.min(pages, Math.max(1, number));
}

/**
 * @param {number} page
 * @param {number} pages
 * @param {number} most
 * @returns {[number, number]} first and last page kept in the DOM, centered on this one
 */
export function around(page, pages, most) {
  const first = Math.max(1, Math.min(pages - most + 1, page - Math.floor(most / 2)));
  return [first, Math.min(pages, first + most - 1)];
}

/**
 * @param {readonly number[]} edges bottom edge of each page
 * @param {number} at
 * @returns {number} index of the page there
 */
export function pageAt(edges, at) {
  let [low, high] = [0, edges.length - 1];
  while (low < high) {
    const middle = (low + high) >> 1;
    if (/** @type {number} */ (edges[middle]) > at) high = middle;
    else low = middle + 1;
  }
  return Math.max(0, low);
}

/** @param {number} number @returns {string} as spelled in image URLs */
const spelled = (number) =>
  String(Number(number.toFixed(3)))
    .replace("-", "n")
    .replace(".", "p");

/**
 * @param {string} url of an image
 * @param {number} page
 * @param {[number, number] | null} [window] center and width; unchanged if omitted
 * @returns {string} URL of that page and window
 */
export function address(url, page, window) {
  const [, base = url, seen = ""] = PICTURE.exec(url) ?? [];
  const through = window === undefined ? seen : window ? `c${spelled(window[0])}x${spelled(window[1])}` : "";
  return `${base}${through}/${page}.webp`;
}

/** @param {string} srcset @param {(url: string) => string} change */
export const eachAddress = (srcset, change) => srcset.replace(/[^\s,]\S*(?=\s+\d+w)/g, change);

/**
 * @param {readonly [number, number][]} windows of the file
 * @returns {{ center: [number, number], width: [number, number] }} ranges of the sliders
 */
export function reach(windows) {
  const lows = windows.map(([center, width]) => center - width);
  const highs = windows.map(([center, width]) => center + width);
  const [low, high] = [Math.floor(Math.min(...lows)), Math.ceil(Math.max(...highs))];
  return { center: [low, high], width: [1, Math.max(2, (high - low) * 2)] };
}
