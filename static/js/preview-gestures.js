/**
 * Wheel, drag, pinch, swipe and double-click on the stage of the preview.
 */
import * as zoom from "./preview-zoom.js";

/** @typedef {import("./preview-stage.js").Stage} Stage */
/** @typedef {import("./preview-zoom.js").Point} Point */

const SWIPE = 60; // pixels

/** @param {Stage} stage */
export function listen(stage) {
  const { element } = stage;
  element.addEventListener("wheel", (event) => wheel(stage, event), { passive: false });
  element.addEventListener("pointerdown", (event) => drag(stage, event));
  element.addEventListener("dblclick", (event) => twice(stage, event));
  touches(stage);
}

/**
 * Lets the wheel scroll pages, but zoom a single image.
 * @param {Stage} stage @param {WheelEvent} event
 */
function wheel(stage, event) {
  if (!event.ctrlKey && !event.metaKey && stage.paged) return;
  event.preventDefault();
  if (!event.ctrlKey && !event.metaKey && stage.pages > 1) return stage.go(stage.page + Math.sign(event.deltaY));
  const point = { x: event.clientX, y: event.clientY };
  stage.zoomTo(stage.scale * zoom.wheeled(event.deltaY, event.deltaMode), point);
}

/**
 * Toggles the zoom on a double-click.
 * @param {Stage} stage @param {MouseEvent} event
 */
function twice(stage, event) {
  if (/** @type {Element} */ (event.target).closest(".mf-look-layer > span")) return; // selects a word
  if (!stage.fit) return stage.fitTo("page");
  stage.zoomTo(stage.scale < 0.8 ? 1 : stage.scale * 2, { x: event.clientX, y: event.clientY });
}

/** @param {Stage} stage @param {PointerEvent} start */
function drag({ element }, start) {
  if (start.pointerType !== "mouse" || start.button) return;
  if (/** @type {Element} */ (start.target).closest("button, .mf-look-layer > span")) return; // words are selected
  const { offsetX, offsetY } = start;
  const onScrollBar = offsetX > element.clientWidth || offsetY > element.clientHeight;
  if (start.target === element && onScrollBar) return;
  const [left, top] = [element.scrollLeft, element.scrollTop];
  const move = (/** @type {PointerEvent} */ { clientX, clientY }) => {
    const to = { left: left - clientX + start.clientX, top: top - clientY + start.clientY };
    element.scrollTo({ ...to, behavior: "instant" });
  };
  const end = () => {
    element.removeEventListener("pointermove", move);
    element.removeAttribute("data-mf-dragged");
  };
  start.preventDefault();
  element.focus({ preventScroll: true });
  element.setPointerCapture(start.pointerId);
  element.setAttribute("data-mf-dragged", "");
  element.addEventListener("pointermove", move);
  element.addEventListener("lostpointercapture", end, { once: true });
}

/** @param {TouchEvent} event @returns {Point[]} */
const points = ({ touches }) => [...touches].map(({ clientX: x, clientY: y }) => ({ x, y }));

/** @param {Stage} stage */
function touches(stage) {
  const { element } = stage;
  let from = { apart: 0, scale: 1 };
  /** @type {Point | null} */
  let swipe = null;
  const begin = (/** @type {TouchEvent} */ event) => {
    const [one] = points(event);
    const pans = element.scrollWidth > element.clientWidth + 1;
    swipe = event.touches.length === 1 && !pans ? (one ?? null) : null;
    if (event.touches.length === 2) from = { apart: zoom.pinched(points(event)).apart, scale: stage.scale };
  };
  const pinch = (/** @type {TouchEvent} */ event) => {
    if (event.touches.length !== 2) return;
    event.preventDefault();
    const { apart, middle } = zoom.pinched(points(event));
    if (from.apart) stage.zoomTo((from.scale * apart) / from.apart, middle);
  };
  const end = (/** @type {TouchEvent} */ { changedTouches: [last] }) => {
    const [across, down] = swipe && last ? [last.clientX - swipe.x, last.clientY - swipe.y] : [0, 0];
    swipe = null;
    if (Math.abs(across) > SWIPE && Math.abs(across) > 2 * Math.abs(down)) stage.walk(across < 0 ? 1 : -1);
  };
  element.addEventListener("touchstart", begin, { passive: true });
  element.addEventListener("touchmove", pinch, { passive: false });
  element.addEventListener("touchend", end);
}
