/**
 * The htmx of the page: version 4, or version 2 of a host page. Everything that differs between the two is here.
 */
import { on } from "./dom.js";

const CONFIG = '{"history": false, "defaultTimeout": 0, "includeIndicatorCSS": false}';
const EVENTS = {
  init: "htmx:before:init",
  ready: "htmx:afterProcessNode htmx:after:process",
  configure: "htmx:configRequest htmx:config:request",
  request: "htmx:beforeRequest htmx:before:request",
  response: "htmx:before:response",
  swap: "htmx:beforeSwap htmx:before:swap",
  swapped: "htmx:afterSwap htmx:after:swap",
  settled: "htmx:afterSettle htmx:after:swap",
  failed: "htmx:sendError htmx:timeout htmx:responseError htmx:error htmx:response:error",
};

/** @returns {any} htmx, once loaded */
export const htmx = () => /** @type {any} */ (globalThis).htmx;

/** One request and its response, as an event of htmx describes it. */
export class Exchange {
  /** @param {CustomEvent} event */
  constructor(event) {
    this.event = event;
    this.ctx = event.detail?.ctx; // of version 4
    this.xhr = event.detail?.xhr; // of version 2
  }

  /** @returns {number} of the response; 0 if there is none */
  get status() {
    return (this.ctx ? this.ctx.response?.status : this.xhr?.status) ?? 0;
  }

  /** @param {string} name @returns {string | null} of the response */
  header(name) {
    return (this.ctx ? this.ctx.response?.headers?.get?.(name) : this.xhr?.getResponseHeader(name)) ?? null;
  }

  /** @returns {any} the element that made the request */
  get source() {
    const { detail, target } = this.event;
    return this.ctx?.sourceElement ?? detail.requestConfig?.elt ?? detail.elt ?? target;
  }

  /** @returns {any} the element that the response is swapped into */
  get target() {
    const aim = this.ctx?.target ?? this.event.detail.target;
    return typeof aim === "string" ? document.querySelector(aim) : aim; // a selector if the response retargets
  }

  /** @returns {Record<string, string>} of the request */
  get headers() {
    return this.ctx?.request.headers ?? this.event.detail.headers;
  }

  /**
   * Ignores attributes that a host page's elements pass on to the widget's.
   * @param {Element} source
   */
  inheritNothing(source) {
    const select = source.getAttribute("hx-select") ?? undefined;
    const none = { selectOOB: undefined, push: undefined, replace: undefined, confirm: undefined };
    if (this.ctx) Object.assign(this.ctx, { select, ...none });
  }

  /** Aims at the element that has replaced the target since the request. */
  follow() {
    const { target } = this.ctx;
    if (target?.id && !target.isConnected) this.ctx.target = document.getElementById(target.id) ?? target;
  }

  /** Removes styles set by a drag or a script, which htmx would copy as attributes: the policy forbids those. */
  dropStyles() {
    for (const one of [this.target, ...(this.target?.querySelectorAll?.("[id][style]") ?? [])])
      if (one?.closest?.(".mf")) one.removeAttribute("style");
  }

  /** @returns {boolean} whether nothing will be swapped */
  get isDropped() {
    return this.event.defaultPrevented || this.event.detail.shouldSwap === false;
  }

  /** Prevents the swap. */
  drop() {
    if (this.xhr) Object.assign(this.event.detail, { shouldSwap: false });
    else this.event.preventDefault();
  }

  /** Swaps an error's response in. */
  accept() {
    if (this.xhr) Object.assign(this.event.detail, { shouldSwap: true, isError: false });
  }
}

/** @param {keyof typeof EVENTS} name @param {(exchange: Exchange) => void} listener */
export function listen(name, listener) {
  on(EVENTS[name], (event) => {
    if (event.type !== "htmx:error" || event.detail.ctx) listener(new Exchange(event));
  });
}

/** Loads the vendored htmx if the page has none; deferred scripts have already run. */
export function bring() {
  if (htmx()) return;
  const [config, script] = [document.createElement("meta"), document.createElement("script")];
  Object.assign(config, { name: "htmx-config", content: CONFIG });
  if (!document.querySelector("meta[name=htmx-config]")) document.head.append(config);
  script.src = new URL("vendor/htmx.min.js", import.meta.url).href;
  document.head.append(script);
}
