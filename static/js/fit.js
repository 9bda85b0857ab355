/**
 * What the server cannot know: the user's time zone and the window's width.
 */

/** @param {Date} date @param {string} style @param {boolean} whole @returns {Intl.DateTimeFormatOptions} */
function format(date, style, whole) {
  const dated = style === "short" ? date.getFullYear() !== new Date().getFullYear() : style !== "time";
  return {
    ...(style !== "time" && { day: "numeric", month: "short" }),
    ...(dated && { year: "numeric" }),
    ...(["moment", "time"].includes(style) && { hour: "2-digit", minute: "2-digit" }),
    ...(whole && { timeZone: "UTC" }),
  };
}

/** @type {Map<string, Intl.DateTimeFormat>} by their options, because a new one takes longer than all a page's dates */
const formats = new Map();

/** @param {Date} date @param {string} style @param {boolean} [whole] @returns {string} */
function inWords(date, style, whole = false) {
  const options = format(date, style, whole);
  const key = JSON.stringify(options);
  const known = formats.get(key) ?? new Intl.DateTimeFormat(undefined, options);
  formats.set(key, known);
  return known.format(date);
}

/**
 * Regroups lines by day in the user's time zone; the server groups them by UTC day.
 * @param {HTMLElement} trail
 */
function regroup(trail) {
  const groups = [];
  let shown = "";
  for (const line of trail.querySelectorAll("li")) {
    const day = inWords(new Date(line.querySelector("time")?.dateTime ?? NaN), "day");
    if (day !== shown) {
      const [heading, list] = [document.createElement("h2"), document.createElement("ol")];
      heading.textContent = shown = day;
      groups.push(heading, list);
    }
    /** @type {HTMLElement} */ (groups.at(-1)).append(line);
  }
  trail.replaceChildren(...groups);
}

/** Shows times in the user's time zone and scrolls to the current tab. */
export function fit() {
  const tab = /** @type {HTMLElement | null} */ (document.querySelector(".mf-scroll [aria-current]"));
  tab?.closest(".mf-scroll")?.scrollTo({ left: tab.offsetLeft - 24 });
  const trail = /** @type {HTMLElement | null} */ (document.querySelector(".mf-trail:has(time[data-mf-when])"));
  if (trail) regroup(trail);
  for (const time of /** @type {NodeListOf<HTMLTimeElement>} */ (document.querySelectorAll("time[data-mf-when]"))) {
    const date = new Date(time.dateTime);
    const style = String(time.dataset.mfWhen);
    time.removeAttribute("data-mf-when");
    if (!isNaN(date.valueOf())) time.textContent = inWords(date, style, time.dateTime.length === 10);
  }
  for (const input of /** @type {NodeListOf<HTMLInputElement>} */ (document.querySelectorAll("input[data-mf-day]"))) {
    // the format of date fields: 2026-05-12
    input.value = new Date(String(input.dataset.mfDay)).toLocaleDateString("sv");
    input.removeAttribute("data-mf-day");
  }
}
