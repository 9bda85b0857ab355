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
   * Must be created before the sheet listens: listeners of the window run in the order they were added.
   * @param {string} name of the entry's mark
   * @param {() => void} close the dialog
   */
  constructor(name, close) {
    this.#name = name;
    this.#close = close;
    addEventListener("popstate", (event) => this.#wentBack(event));
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
