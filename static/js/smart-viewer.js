/** The page that opens a SMART Health Link of this installation. The key in its address never leaves the browser. */

import { _, ngettext } from "./i18n.js";
import { decrypted, has, papersIn, payloadOf, personIn } from "./smart-link.js";

/** @param {string} id @returns {any} */
const part = (id) => document.getElementById(id);
const [form, problem, status] = [part("mf-smart-form"), part("mf-smart-problem"), part("mf-smart-status")];
const payload = payloadOf(location.hash);
const GONE = _("This link has expired, was revoked, or never existed. Ask for a new one.");

/** An answer that has words for the reader. */
class Refused extends Error {}

/** @param {string} words */
function tell(words) {
  problem.textContent = words;
  problem.hidden = !words;
}

/** @returns {string} why the link cannot be opened here; empty if it can */
function obstacle() {
  if (!payload) return _("This address is incomplete. Scan the code again, or ask for a new link.");
  if (!URL.canParse(payload.url) || new URL(payload.url).origin !== location.origin)
    return _("This link belongs to another site. Open it with an app that reads SMART Health Links.");
  if (payload.exp && payload.exp * 1000 < Date.now()) return GONE;
  if (!globalThis.crypto?.subtle) return _("This page cannot decrypt without HTTPS. Open the link with an app.");
  return "";
}

/** @param {Response} answer @returns {Promise<Response>} */
async function accepted(answer) {
  if (answer.ok) return answer;
  if (answer.status === 401) {
    const { remainingAttempts: left = 0 } = await answer.json();
    part("passcode").focus();
    if (!left) throw new Refused(GONE);
    const again = ngettext("You can try %(num)s more time.", "You can try %(num)s more times.", left);
    throw new Refused(`${_("This passcode is wrong.")} ${again}`);
  }
  if (answer.status === 404) throw new Refused(GONE);
  if (answer.status === 429) throw new Refused(_("Too many attempts. Wait a moment, then try again."));
  throw new Refused(_("The documents could not be fetched. Please try again."));
}

/** @param {string} url @param {string} recipient @param {string} passcode @returns {Promise<string>} the JWE */
async function fetched(url, recipient, passcode) {
  if (payload && has(payload, "U")) {
    const answer = await accepted(await fetch(`${url}?${new URLSearchParams({ recipient })}`));
    return answer.text();
  }
  const asked = passcode ? { recipient, passcode } : { recipient };
  const how = { method: "POST", headers: { "Content-Type": "application/json" }, body: JSON.stringify(asked) };
  const { files } = await (await accepted(await fetch(url, how))).json();
  const [{ embedded, location: where }] = files;
  return embedded ?? (await accepted(await fetch(where))).text();
}

/** @param {any} bundle */
function show(bundle) {
  const papers = papersIn(bundle);
  part("mf-smart-person").textContent = personIn(bundle);
  part("mf-smart-list").replaceChildren(
    ...papers.map(({ title, content }) => {
      const [item, open, save] = ["li", "a", "a"].map((name) => document.createElement(name));
      const address = URL.createObjectURL(new Blob([content], { type: "application/pdf" }));
      Object.assign(open, { href: address, target: "_blank", textContent: title || _("Document") });
      Object.assign(save, { href: address, download: `${title || _("Document")}.pdf`, textContent: _("Download") });
      save.setAttribute("aria-label", _("Download %(name)s", { name: title }));
      save.className = "mf-button mf-small";
      item.append(open, save);
      return item;
    }),
  );
  form.hidden = true;
  part("mf-smart-found").hidden = false;
  part("mf-smart-person").focus();
  status.textContent = ngettext("%(num)s document", "%(num)s documents", papers.length);
}

async function open() {
  if (!payload) return;
  const [recipient, passcode] = [part("recipient").value.trim(), part("passcode").value.trim()];
  tell("");
  status.textContent = _("Opening documents …");
  form.querySelector("button").disabled = true;
  try {
    show(await decrypted(await fetched(payload.url, recipient, passcode), payload.key));
  } catch (error) {
    status.textContent = "";
    const words = _("The documents could not be opened. Scan the code again, or ask for a new link.");
    tell(error instanceof Refused ? error.message : error instanceof TypeError ? _("Can't reach the server.") : words);
  } finally {
    form.querySelector("button").disabled = false;
  }
}

const words = obstacle();
tell(words);
form.hidden = !!words;
part("mf-smart-asks").hidden = !(payload && has(payload, "P"));
part("passcode").required = !!payload && has(payload, "P");
form.addEventListener("submit", (/** @type {Event} */ event) => {
  event.preventDefault();
  open();
});
window.addEventListener("hashchange", () => location.reload());
