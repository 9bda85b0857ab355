/** Shows pages that are wider than high whole, not cut by the foot: cards, X-rays, photos on their side. */

const WIDE = 1.15; // times as wide as high

/** @param {HTMLImageElement} picture that is loaded */
function fit(picture) {
  picture
    .closest(".mf-paper, .mf-thumb")
    ?.classList.toggle("mf-paper-wide", picture.naturalWidth > picture.naturalHeight * WIDE);
}

export function start() {
  const loaded = (/** @type {Event} */ { target }) => target instanceof HTMLImageElement && fit(target);
  document.addEventListener("load", loaded, true); // load events do not bubble
  for (const picture of document.querySelectorAll(":is(.mf-paper, .mf-thumb) > img")) {
    if (picture instanceof HTMLImageElement && picture.complete) fit(picture);
  }
}
