/**
 * The row of one upload: created once from the page's template, then shown by state.
 */
import { sizeWords } from "./files.js";
import { _, ngettext } from "./i18n.js";

/** @typedef {Record<string, string>} Fields details of a document, by name */

const PICTURES = ["image/jpeg", "image/png", "image/gif", "image/bmp", "image/webp"];

/** @type {WeakMap<HTMLElement, string[]>} object URLs, kept until they are revoked */
const addresses = new WeakMap();
let made = 0;

/** @param {ParentNode} row @param {string} name @returns {HTMLElement | null} */
const part = (row, name) => row.querySelector(`[data-mf-${name}]`);

/** @param {HTMLElement} row @param {Blob} blob */
function addressOf(row, blob) {
  const address = URL.createObjectURL(blob);
  addresses.set(row, [...(addresses.get(row) ?? []), address]);
  return address;
}

/**
 * Revokes a row's object URLs.
 * @param {HTMLElement} row
 */
export function release(row) {
  addresses.get(row)?.forEach((address) => URL.revokeObjectURL(address));
  addresses.delete(row);
}

/** @param {string} name */
const ending = (name) => (/\.(\w{1,4})$/.exec(name)?.[1] ?? _("File")).toUpperCase();

/** @param {HTMLElement} row @param {File} file */
function thumbnail(row, file) {
  const tile = part(row, "thumb");
  if (!tile) return;
  tile.textContent = ending(file.name);
  if (!PICTURES.includes(file.type)) return;
  const picture = new Image();
  picture.alt = "";
  picture.decoding = "async";
  picture.onerror = () => (tile.textContent = ending(file.name));
  picture.src = addressOf(row, file);
  tile.replaceChildren(picture);
}

/** @param {Element} control @returns {string} its label */
function wordsOf(control) {
  const beside = [...(control.closest("label")?.childNodes ?? [])].filter((node) => !node.contains(control));
  const words = (control.localName === "button" ? [control] : beside).map(({ textContent }) => textContent);
  return words.join(" ").replace(/\s+/g, " ").trim();
}

/**
 * Sets the name, size and thumbnail, and names the file in every control's label.
 * @param {HTMLElement} row @param {File} file
 */
export function describe(row, file) {
  release(row);
  thumbnail(row, file);
  part(row, "name")?.replaceChildren(file.name);
  part(row, "size")?.replaceChildren(sizeWords(file.size));
  part(row, "progress")?.setAttribute("aria-label", file.name);
  row
    .querySelectorAll("button, input, select")
    .forEach((control) => control.setAttribute("aria-label", `${wordsOf(control)}: ${file.name}`));
}

/** @param {Element} zone @param {File} file @returns {HTMLElement} */
export function makeRow(zone, file) {
  const template = /** @type {HTMLTemplateElement} */ (zone.querySelector("template[data-mf-queue-row]"));
  const copy = /** @type {DocumentFragment} */ (document.importNode(template.content, true));
  const row = /** @type {HTMLElement} */ (copy.firstElementChild);
  const status = part(row, "status");
  if (status) status.id = `mf-upload-${++made}-status`;
  row
    .querySelectorAll("[data-mf-retry], [data-mf-keep]")
    .forEach((button) => button.setAttribute("aria-describedby", status?.id ?? ""));
  describe(row, file);
  return row;
}

/** @param {HTMLElement} row @param {string} name under which the file can be added */
export function offerName(row, name) {
  const button = part(row, "add-as");
  if (!button || !name) return;
  button.textContent = _("Add as %(name)s", { name });
  button.setAttribute("aria-label", button.textContent);
}

/** @param {HTMLElement} row @param {number} count */
export function offerAll(row, count) {
  const button = part(row, "add-all");
  if (!button) return;
  button.hidden = count < 2;
  button.textContent = _("Add all %(count)s", { count });
  const words = ngettext("Add %(num)s file under the name shown", "Add all %(num)s files under the names shown", count);
  button.setAttribute("aria-label", words);
}

/** @param {HTMLElement} row @param {string} words */
export function tell(row, words) {
  const status = part(row, "status");
  if (status && status.textContent !== words) status.textContent = words;
}

/** @param {HTMLElement} row @param {string} words "" removes the note */
export function note(row, words) {
  const place = part(row, "note");
  if (place && place.textContent !== words) place.textContent = words;
}

/** @param {HTMLElement} row @param {ReturnType<typeof import("./upload-states.js").looks>} looks */
export function show(row, { state, tone, actions, moving, named }) {
  Object.assign(row.dataset, { mfState: state, mfTone: tone, mfActions: actions.join(" ") });
  row.toggleAttribute("data-mf-moving", moving);
  row.toggleAttribute("data-mf-nameable", named);
}

/** @param {HTMLElement} row @param {number} percent -1 = indeterminate */
export function fill(row, percent) {
  const bar = /** @type {HTMLProgressElement | null} */ (part(row, "progress"));
  if (percent < 0) bar?.removeAttribute("value");
  else if (bar) bar.value = percent;
}

/** @param {HTMLElement} row @returns {Fields} */
export function fields(row) {
  const controls = /** @type {NodeListOf<HTMLInputElement>} */ (row.querySelectorAll("[data-mf-detail]"));
  return Object.fromEntries([...controls].map((control) => [control.dataset.mfDetail ?? "", control.value.trim()]));
}

/** @param {HTMLElement} row @param {Record<string, string>} values of details that are still empty */
export function prefill(row, values) {
  for (const [name, value] of Object.entries(values)) {
    const control = /** @type {HTMLInputElement | null} */ (row.querySelector(`[data-mf-detail="${name}"]`));
    if (control && !control.value) control.value = value;
  }
}

/** @param {HTMLElement} row */
export const isTyping = (row) =>
  row.contains(document.activeElement) && !!document.activeElement?.matches("input, select, textarea");

/* Focus never moves to the top of the page */

/** @param {Element} element */
const isSeen = (element) => element.getClientRects().length > 0;
/** @param {Element | null | undefined} row @returns {HTMLElement | undefined} */
const firstButton = (row) =>
  /** @type {HTMLElement[]} */ ([...(row?.querySelectorAll("button:not(:disabled)") ?? [])]).find(isSeen);

/**
 * @param {HTMLElement} row
 * @returns {HTMLElement | null | undefined} where focus moves when this row's buttons disappear
 */
function neighbour(row) {
  const rows = [...(row.parentElement?.children ?? [])];
  const at = rows.indexOf(row);
  const near = [...rows.slice(at + 1), ...rows.slice(0, at).reverse()].map(firstButton).find(Boolean);
  const others = ["[data-mf-pick]", "h2[tabindex]"].map((name) => row.closest(".mf-manager")?.querySelector(name));
  return near ?? /** @type {HTMLElement | undefined} */ (others.find((other) => other && isSeen(other)));
}

/** @param {HTMLElement} row */
export const leave = (row) => neighbour(row)?.focus();

/** @param {HTMLElement} row @param {() => void} change can hide or remove the focused element */
export function keepFocus(row, change) {
  const active = document.activeElement;
  const inside = row.contains(active);
  const next = inside ? neighbour(row) : null;
  change();
  if (!inside || (active?.isConnected && isSeen(active))) return;
  (firstButton(row) ?? next)?.focus();
}
