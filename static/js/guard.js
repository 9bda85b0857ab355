/**
 * The first second of a page: pointer clicks on destructive controls are ignored, because the pointer may still be
 * where the last action was. The keyboard is unaffected.
 */
const DESTRUCTIVE = ".mf :is(.mf-danger, .mf-danger-solid, .mf-act-danger)";
const FIRST = 1_000; // milliseconds

/** @param {() => number} [now] clock in milliseconds */
export function guard(now = () => performance.now()) {
  let changed = now();
  return {
    /** Must be called when the page has changed. */
    restart: () => void (changed = now()),
    /**
     * @param {Pick<MouseEvent, "detail" | "target">} click
     * @returns {boolean} whether to ignore it; `detail` is 0 for the keyboard
     */
    ignores: ({ detail, target }) =>
      detail > 0 && now() - changed < FIRST && !!(/** @type {Element | null} */ (target)?.closest?.(DESTRUCTIVE)),
  };
}

const own = typeof document === "undefined" ? null : guard();
/** @type {ReturnType<typeof setTimeout> | undefined} */
let timer;

export function pageChanged() {
  own?.restart();
  document.documentElement.classList.add("mf-first-second"); // the controls look disabled
  clearTimeout(timer);
  timer = setTimeout(() => document.documentElement.classList.remove("mf-first-second"), FIRST);
}

export function start() {
  pageChanged();
  addEventListener("pageshow", ({ persisted }) => persisted && pageChanged());
  addEventListener(
    "click",
    (event) => {
      if (!own?.ignores(event)) return;
      event.preventDefault();
      event.stopImmediatePropagation();
    },
    true,
  );
}
