/** Reads SMART Health Links (HL7 SMART Health Links 1.0): the link, the file behind it, and the PDFs in that. */

/** @typedef {{url: string, key: string, exp?: number, flag?: string}} Payload */
/** @typedef {{title: string, day: string, content: Uint8Array<ArrayBuffer>}} Paper */

const PREFIX = "shlink:/";
const PDF = "application/pdf";

/** @param {string} text base64 or base64url @returns {Uint8Array<ArrayBuffer>} */
export function bytesOf(text) {
  const binary = atob(text.replaceAll("-", "+").replaceAll("_", "/"));
  const found = new Uint8Array(binary.length);
  for (let at = 0; at < binary.length; at += 1) found[at] = binary.charCodeAt(at);
  return found;
}

/** @param {Uint8Array} bytes */
const jsonOf = (bytes) => JSON.parse(new TextDecoder().decode(bytes));

/** @param {string} hash of the address of a page @returns {Payload | null} what it says; null if it is no such link */
export function payloadOf(hash) {
  const at = hash.indexOf(PREFIX);
  if (at < 0) return null;
  try {
    const found = jsonOf(bytesOf(hash.slice(at + PREFIX.length)));
    return typeof found.url === "string" && typeof found.key === "string" ? found : null;
  } catch {
    return null;
  }
}

/** @param {Payload} payload @param {string} flag */
export const has = (payload, flag) => (payload.flag ?? "").includes(flag);

/** @param {string} jwe compact @param {string} key base64url @returns {Promise<any>} the JSON in it */
export async function decrypted(jwe, key) {
  const [header = "", , iv = "", content = "", tag = ""] = jwe.trim().split(".");
  const [ciphertext, end] = [bytesOf(content), bytesOf(tag)];
  const sealed = new Uint8Array(ciphertext.length + end.length);
  sealed.set(ciphertext);
  sealed.set(end, ciphertext.length);
  const secret = await crypto.subtle.importKey("raw", bytesOf(key), "AES-GCM", false, ["decrypt"]);
  const how = { name: "AES-GCM", iv: bytesOf(iv), additionalData: new TextEncoder().encode(header) };
  return jsonOf(new Uint8Array(await crypto.subtle.decrypt(how, secret, sealed)));
}

/** @param {any} bundle FHIR @returns {any[]} */
const resources = (bundle) => (bundle.entry ?? []).map((/** @type {any} */ entry) => entry.resource ?? {});

/** @param {any} bundle @returns {string} the name of the patient */
export function personIn(bundle) {
  const patient = resources(bundle).find((one) => one.resourceType === "Patient");
  const name = patient?.name?.[0];
  return name ? [...(name.given ?? []), name.family ?? ""].join(" ").trim() : "";
}

/** @param {any} bundle @returns {Paper[]} */
export const papersIn = (bundle) =>
  resources(bundle)
    .filter((one) => one.resourceType === "DocumentReference")
    .flatMap((one) => one.content ?? [])
    .map((one) => one.attachment ?? {})
    .filter((one) => one.contentType === PDF && one.data)
    .map(({ title, creation, data }) => ({ title: title ?? "", day: creation ?? "", content: bytesOf(data) }));
