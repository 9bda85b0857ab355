/**
 * What the server cannot know: the user's time zone and the window's width.
 */

/** @param {string} style @param {boolean} whole @returns {Intl.DateTimeFormatOptions} */
const format = (style, whole) => ({
  ...(style !== "time" && { day: "numeric", month: "short", year: "numeric" }),
  ...(style !== "day" && { hour: "2-digit", minute: "2-digit" }),
  ...(whole && { timeZone: "UTC" }),
});

/** Shows times in the user's zone and scrolls to the current tab. */
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
    input.value = new Date(String(input.dataset.mfDay)).toLocaleDateString("sv"); // the format of date fields: 2026-05-12
    input.removeAttribute("data-mf-day");
  }
}
