/**
 * The preview's entry in the browser's history: Back closes the preview and nothing else.
 */

/** whether the open preview has an entry */
let entered = false;
/** whether that entry is being removed because the preview was closed in another way */
let leaving = false;

/** Must be called when the preview opens. */
export function enter() {
  entered = true;
  if (!leaving) history.pushState({ ...history.state, mfLook: true }, "");
}

/** Must be called when the preview closes. */
export function leave() {
  if (!entered) return;
  entered = false;
  leaving = Boolean(history.state?.mfLook);
  if (leaving) history.back();
}

/**
 * Closes the dialog. The event is not passed on, because the page around the dialog must not change.
 * @param {PopStateEvent} event
 */
function wentBack(event) {
  if (!leaving && !entered) return;
  event.stopImmediatePropagation();
  if (leaving) {
    leaving = false;
    if (entered) enter(); // it was opened again in the meantime
    return;
  }
  entered = false;
  /** @type {HTMLDialogElement | null} */ (document.querySelector("dialog.mf-look[open]"))?.close();
}

// must come before the sheet's listener: window listeners run in the order they were added
addEventListener("popstate", wentBack);
