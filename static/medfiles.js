/**
 * Behaviour of the document widget and the record sheet on top of what already works without script.
 * Runs beside htmx 2.0.11 and 4.0.1; has no dependencies.
 */
(() => {
  "use strict";
  const doc = document;
  const root = doc.documentElement;
  if (root.classList.contains("mf-js")) return;
  root.classList.add("mf-js");

  const sheet = /** @type {HTMLDialogElement | null} */ (doc.getElementById("mf-sheet"));
  const sheetBody = doc.getElementById("mf-sheet-body");
  const home = location.pathname;
  /** @type {{ manager: string, action: string, file: string, index: number } | null} what was pressed in a widget */
  let pressed = null;
  let opener = "";
  let dirty = false;

  /** @param {Event} event @param {string} selector @returns {HTMLElement | null} */
  const near = (event, selector) => (event.target instanceof Element ? event.target.closest(selector) : null);
  /** @param {string} names @param {(event: CustomEvent) => void} listener */
  const on = (names, listener) => names.split(" ").forEach((name) => doc.addEventListener(name, /** @type {EventListener} */ (listener)));
  /** @param {CustomEvent} event the status of the answer, in htmx 4 or 2; 0 when none came */
  const status = ({ detail }) => (detail.ctx ? detail.ctx.response?.status : detail.xhr?.status) ?? 0;

  /** @param {string} text */
  function announce(text) {
    const live = [...doc.querySelectorAll("[data-mf-live]")].find((one) => !!one.closest("dialog") === !!sheet?.open);
    if (live) live.textContent = text.replace(/\s+/g, " ").trim();
  }

  /** @param {string} style @param {boolean} whole @returns {Intl.DateTimeFormatOptions} */
  const format = (style, whole) => ({
    ...(style !== "time" && { day: "numeric", month: "short", year: "numeric" }),
    ...(style !== "day" && { hour: "2-digit", minute: "2-digit" }),
    ...(whole && { timeZone: "UTC" }),
  });

  /** What stands in the page is brought to this reader: their zone, and their tab in a row too long for a phone. */
  function fit() {
    const tab = /** @type {HTMLElement | null} */ (doc.querySelector(".mf-tabs [aria-current]"));
    tab?.closest(".mf-tabs")?.scrollTo({ left: tab.offsetLeft - 24 });
    for (const time of /** @type {NodeListOf<HTMLTimeElement>} */ (doc.querySelectorAll("time[data-mf-when]"))) {
      const date = new Date(time.dateTime);
      const moved = date.getDate() !== date.getUTCDate();
      const style = time.dataset.mfWhen === "time" && moved ? "moment" : String(time.dataset.mfWhen);
      time.removeAttribute("data-mf-when");
      if (!isNaN(date.valueOf())) time.textContent = new Intl.DateTimeFormat(undefined, format(style, time.dateTime.length === 10)).format(date);
    }
  }

  /* The sheet: a record beside the list it was opened from, with an address of its own */

  function showSheet() {
    if (!sheet || !sheetBody?.firstElementChild) return;
    const first = /** @type {HTMLElement} */ (sheetBody.firstElementChild);
    const url = first.dataset.mfUrl ?? location.href;
    dirty = false;
    if (sheet.open) history.replaceState({ mfSheet: true }, "", url);
    else {
      history.pushState({ mfSheet: true }, "", url);
      sheet.showModal();
    }
    sheet.scrollTop = 0;
    /** @type {HTMLElement | null} */ (sheet.querySelector("[data-mf-focus]"))?.focus();
  }

  function closeSheet() {
    if (!dirty || confirm("Leave without saving what you changed?")) sheet?.close();
  }

  function sheetClosed() {
    dirty = false;
    sheetBody?.replaceChildren();
    if (history.state?.mfSheet) history.back();
    if (doc.activeElement === doc.body) (doc.getElementById(opener) ?? doc.getElementById("main"))?.focus();
  }

  sheet?.addEventListener("close", sheetClosed);
  sheet?.addEventListener("cancel", (event) => {
    if (event.target !== sheet) return;
    event.preventDefault();
    closeSheet();
  });
  sheet?.addEventListener("input", (event) => (dirty ||= !!near(event, "[data-mf-guard]")));
  addEventListener("popstate", () => {
    if (sheet?.open) sheet.close();
    else if (history.state?.mfSheet || location.pathname !== home) location.reload();
  });

  /* Uploading: a real button opens the picker, choosing or dropping files sends them at once */

  /** @param {HTMLFormElement} form @param {number} count how many files are on their way; 0 = none any more */
  function sending(form, count) {
    const panel = /** @type {HTMLElement} */ (form.querySelector("[data-mf-sending]"));
    const words = count === 1 ? "Sending 1 file…" : `Sending ${count} files…`;
    form.toggleAttribute("data-busy", count > 0);
    form.setAttribute("aria-busy", String(count > 0));
    panel.hidden = count === 0;
    /** @type {HTMLElement} */ (panel.querySelector("[data-mf-sending-words]")).textContent = words;
    announce(count ? words : "");
    /** @type {HTMLElement | null} */ (form.querySelector(count ? "[data-mf-cancel]" : "[data-mf-pick]"))?.focus();
  }

  /** @param {HTMLFormElement} form */
  function cancel(form) {
    /** @type {{ htmx?: { trigger(element: Element, name: string): void } }} */ (/** @type {unknown} */ (window)).htmx?.trigger(form, "htmx:abort");
    form.reset();
    sending(form, 0);
    announce("Cancelled.");
  }

  /** @param {DragEvent} event */
  function drag(event) {
    const zone = near(event, "[data-mf-zone]");
    doc.querySelectorAll("[data-drag]").forEach((other) => other !== zone && other.removeAttribute("data-drag"));
    if (!zone || !event.dataTransfer?.types.includes("Files")) return;
    event.preventDefault();
    zone.toggleAttribute("data-drag", event.type === "dragover");
    if (event.type !== "drop" || zone.hasAttribute("data-busy") || !event.dataTransfer.files.length) return;
    const input = /** @type {HTMLInputElement} */ (zone.querySelector("[data-mf-input]"));
    input.files = event.dataTransfer.files;
    /** @type {HTMLFormElement} */ (zone).requestSubmit();
  }
  ["dragover", "dragleave", "drop"].forEach((name) => doc.addEventListener(name, /** @type {EventListener} */ (drag)));

  /* Presses */

  /** @type {Record<string, (button: HTMLElement) => void>} */
  const presses = {
    "[data-mf-pick]": (button) => /** @type {HTMLElement | null} */ (button.closest("form")?.querySelector("[data-mf-input]"))?.click(),
    "[data-mf-cancel]": (button) => cancel(/** @type {HTMLFormElement} */ (button.closest("form"))),
    "[data-mf-close]": closeSheet,
    "[data-mf-reload]": () => location.reload(),
    "[data-mf-open]": (link) => (opener = link.id),
    "[data-mf-action]": remember,
  };

  /** @param {HTMLElement} button */
  function remember(button) {
    const manager = button.closest(".mf-manager");
    const row = /** @type {HTMLElement | null} */ (button.closest("[data-mf-row]") ?? button.closest(".mf-edit-row")?.previousElementSibling);
    if (!manager) return;
    const index = [...manager.querySelectorAll("[data-mf-row]")].indexOf(/** @type {HTMLElement} */ (row));
    pressed = { manager: manager.id, action: String(button.dataset.mfAction), file: row?.dataset.mfRow ?? button.dataset.mfFile ?? "", index };
  }

  doc.addEventListener("click", (event) => {
    doc.querySelectorAll("details.mf-menu[open]").forEach((menu) => menu.contains(/** @type {Node} */ (event.target)) || menu.removeAttribute("open"));
    for (const [selector, press] of Object.entries(presses)) {
      const found = near(event, selector);
      if (found) press(found);
    }
    if (event.target === sheet) closeSheet();
  });
  doc.addEventListener("keydown", (event) => {
    const menu = event.key === "Escape" && doc.querySelector("details.mf-menu[open]");
    if (!menu) return;
    menu.removeAttribute("open");
    /** @type {HTMLElement | null} */ (menu.querySelector("summary"))?.focus();
  });
  doc.addEventListener("change", (event) => {
    const input = /** @type {HTMLInputElement | null} */ (near(event, "[data-mf-input]"));
    if (input?.files?.length) input.form?.requestSubmit();
  });
  doc.addEventListener("submit", (event) => {
    const form = /** @type {HTMLFormElement | null} */ (near(event, "form[data-mf-upload]"));
    if (!form) return;
    remember(/** @type {HTMLElement} */ (form.querySelector("[data-mf-pick]")));
    const count = /** @type {HTMLInputElement} */ (form.querySelector("[data-mf-input]")).files?.length ?? 0;
    setTimeout(() => sending(form, count));
  });
  doc.addEventListener("reset", (event) => {
    const row = near(event, ".mf-edit-row")?.previousElementSibling;
    row?.querySelector("details[open]")?.removeAttribute("open");
    /** @type {HTMLElement | null | undefined} */ (row?.querySelector("summary"))?.focus();
  });

  /* After an answer: where the reader goes on, and what is said aloud */

  /** @param {Element} manager @param {NonNullable<typeof pressed>} last */
  function placeFocus(manager, last) {
    const rows = [...manager.querySelectorAll("[data-mf-row]")];
    const same = rows.find((row) => row.getAttribute("data-mf-row") === last.file);
    const row = same ?? (last.index < 0 ? undefined : (rows[last.index] ?? rows[last.index - 1]));
    const inRow = row?.querySelector(`[data-mf-action="${last.action}"]`) ?? row?.querySelector("[data-mf-action]");
    const own = inRow ?? manager.querySelector(`.mf-manager-head [data-mf-action="${last.action}"]`);
    const next = own ?? manager.querySelector("[data-mf-pick]") ?? manager.querySelector("h2");
    /** @type {HTMLElement | null} */ (next)?.focus();
  }

  on("htmx:afterSwap htmx:after:swap", ({ detail }) => {
    const target = detail.ctx?.target ?? detail.target;
    fit();
    if (target && target === sheetBody) showSheet();
    if (!pressed || target?.id !== pressed.manager) return; // a badge that comes in between is none of its answers
    const manager = doc.getElementById(pressed.manager);
    if (!manager) return /** @type {HTMLElement | null} */ (doc.querySelector("[data-mf-signed-out]"))?.focus();
    placeFocus(manager, pressed);
    announce([...manager.querySelectorAll("[data-mf-say]")].map((one) => one.querySelector("p, ul")?.parentElement?.innerText ?? "").join(" "));
    pressed = null;
  });

  /* Requests: the token goes along, refusals are shown where they belong, failures can be tried again */

  /** @param {EventTarget | null} source @returns {Element | null} the part of the page whose problem this is */
  const placeOf = (source) => (source instanceof Element ? source.closest(".mf-manager, .mf-record, .mf-sheet, #mf-cards, .mf-main, .mf") : null);
  /** @param {Element | null} place */
  const clear = (place) => place?.querySelectorAll(":scope > .mf-problem").forEach((old) => old.remove());

  /** @param {CustomEvent} event */
  function addToken({ target, detail }) {
    clear(placeOf(target));
    const token = /** @type {Element} */ (target).closest?.(".mf")?.closest("[data-mf-csrf]")?.getAttribute("data-mf-csrf");
    if (token) (detail.ctx?.request.headers ?? detail.headers)["X-CSRFToken"] = token;
  }
  on("htmx:configRequest htmx:config:request", addToken);

  on("htmx:beforeSwap htmx:before:swap", (event) => {
    if (!near(event, ".mf") || status(event) < 400) return;
    const ours = status(event) < 500;
    if (event.detail.xhr) Object.assign(event.detail, { shouldSwap: ours, isError: !ours });
    else if (!ours) event.preventDefault();
  });

  /** @param {Element} source sends its request once more */
  function again(source) {
    if (source.isConnected && source instanceof HTMLFormElement) source.requestSubmit();
    else if (source.isConnected && source instanceof HTMLAnchorElement) source.click();
    else location.reload();
  }

  on("htmx:sendError htmx:timeout htmx:responseError htmx:error htmx:response:error", (event) => {
    const source = event.detail.ctx?.sourceElement ?? event.detail.elt ?? event.target;
    const place = placeOf(source);
    if (!place || (event.type === "htmx:error" && !event.detail.ctx) || (status(event) > 0 && status(event) < 500)) return;
    if (source.matches("[data-mf-upload]")) sending(source, 0);
    clear(place);
    const line = problem(source, status(event) ? "Something went wrong on our side." : "There was no answer. Are you online?");
    const head = place.querySelector(":scope > .mf-manager-head");
    head ? head.after(line) : place.prepend(line);
  });

  /** @param {Element} source @param {string} text */
  function problem(source, text) {
    const line = doc.createElement("div");
    const words = doc.createElement("p");
    const button = doc.createElement("button");
    Object.assign(line, { className: "mf-problem", role: "alert" });
    Object.assign(button, { className: "mf-button mf-small", type: "button", textContent: "Try again" });
    words.textContent = text;
    button.addEventListener("click", () => (line.remove(), again(source)));
    line.append(words, button);
    return line;
  }

  if (!("commandForElement" in HTMLButtonElement.prototype)) {
    doc.addEventListener("click", (event) => {
      const button = near(event, "button[commandfor]");
      const dialog = /** @type {HTMLDialogElement | null} */ (doc.getElementById(button?.getAttribute("commandfor") ?? ""));
      if (button?.getAttribute("command") === "show-modal") dialog?.showModal();
      else dialog?.close();
    });
  }

  fit();
})();
