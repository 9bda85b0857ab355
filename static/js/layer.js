/** @type {string[]} marks of the dialogs' entries */
const marks = [];

// A host's htmx 4 would take part in leaving such an entry: load its page again, and move the focus to its top.
/** @type {any} */ (globalThis).navigation?.addEventListener(
  "navigate",
  (/** @type {any} */ event) => {
    const leaves = marks.some((mark) => history.state?.[mark]);
    if (leaves && event.navigationType === "traverse") event.stopImmediatePropagation();
  },
  true,
);

/**
 * A dialog with an entry in the history, so that Back closes it and nothing else.
 */
export class Layer {
  /** whether the open dialog has its entry */
  #entered = false;
  /** whether that entry is being removed because the dialog was closed in another way */
  #leaving = false;
  #name;
  #close;

  /**
   * It listens in the capture phase, before the sheet and before a host's htmx, which were there first.
   * @param {string} name of the entry's mark
   * @param {() => void} close the dialog
   */
  constructor(name, close) {
    this.#name = name;
    this.#close = close;
    marks.push(name);
    addEventListener("popstate", (event) => this.#wentBack(event), true);
  }

  enter() {
    this.#entered = true;
    if (!this.#leaving) history.pushState({ ...history.state, [this.#name]: true }, "");
  }

  leave() {
    if (!this.#entered) return;
    this.#entered = false;
    this.#leaving = Boolean(history.state?.[this.#name]);
    if (this.#leaving) history.back();
  }

  /**
   * Closes the dialog. The event is not passed on, because the page around the dialog must not change.
   * @param {PopStateEvent} event
   */
  #wentBack(event) {
    if (!this.#leaving && !this.#entered) return;
    event.stopImmediatePropagation();
    if (this.#leaving) {
      this.#leaving = false;
      if (this.#entered) this.enter(); // it was opened again before the entry was gone
      return;
    }
    this.#entered = false;
    this.#close();
  }
}
