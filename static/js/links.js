/** The page that shows a new share link: hands it to the phone's share sheet, prints it. */

import { near } from "./dom.js";

export function start() {
  for (const button of document.querySelectorAll("[data-mf-send]"))
    if ("share" in navigator) /** @type {HTMLElement} */ (button).hidden = false;
  document.addEventListener("click", (event) => {
    const url = near(event, "[data-mf-send]")?.dataset.mfSend;
    if (url) navigator.share({ url }).catch(() => {}); // dismissed
    if (near(event, "[data-mf-print-page]")) print();
  });
}
