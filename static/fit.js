/**
 * What the server cannot know: the reader's time zone, and how wide the window is.
 */

/** @param {string} style @param {boolean} whole @returns {Intl.DateTimeFormatOptions} */
const format = (style, whole) => ({
  ...(style !== "time" && { day: "numeric", month: "short", year: "numeric" }),
  ...(style !== "day" && { hour: "2-digit", minute: "2-digit" }),
  ...(whole && { timeZone: "UTC" }),
});

/** What stands in the page is brought to this reader: their zone, and their tab in a row too long for a phone. */
export function fit() {
  const tab = /** @type {HTMLElement | null} */ (document.querySelector(".mf-tabs [aria-current]"));
  tab?.closest(".mf-tabs")?.scrollTo({ left: tab.offsetLeft - 24 });
  for (const time of /** @type {NodeListOf<HTMLTimeElement>} */ (document.querySelectorAll("time[data-mf-when]"))) {
    const date = new Date(time.dateTime);
    const moved = date.getDate() !== date.getUTCDate();
    const style = time.dataset.mfWhen === "time" && moved ? "moment" : String(time.dataset.mfWhen);
    time.removeAttribute("data-mf-when");
    if (!isNaN(date.valueOf())) time.textContent = new Intl.DateTimeFormat(undefined, format(style, time.dateTime.length === 10)).format(date);
  }
  for (const input of /** @type {NodeListOf<HTMLInputElement>} */ (document.querySelectorAll("input[data-mf-day]"))) {
    input.value = new Date(String(input.dataset.mfDay)).toLocaleDateString("sv"); // as a date field wants it: 2026-05-12
    input.removeAttribute("data-mf-day");
  }
}
