import assert from "node:assert/strict";
import { webcrypto } from "node:crypto";
import test from "node:test";
import { bytesOf, decrypted, has, papersIn, payloadOf, personIn } from "../../static/js/smart-link.js";

const base64url = (/** @type {Uint8Array | string} */ bytes) => Buffer.from(bytes).toString("base64url");
const BUNDLE = {
  resourceType: "Bundle",
  entry: [
    { resource: { resourceType: "Patient", name: [{ family: "Sample", given: ["Ella"] }] } },
    {
      resource: {
        resourceType: "DocumentReference",
        content: [{ attachment: { contentType: "application/pdf", data: "JVBERg==", title: "Letter" } }],
      },
    },
    { resource: { resourceType: "DocumentReference", content: [{ attachment: { contentType: "text/plain" } }] } },
  ],
};

test("a payload is found behind a viewer's address", () => {
  const said = { url: "https://records.example.org/shl/a", key: "k", flag: "LP" };
  const payload = payloadOf(`#shlink:/${base64url(JSON.stringify(said))}`);
  assert.deepEqual(payload, said);
  assert.ok(payload && has(payload, "P") && !has(payload, "U"));
});

for (const hash of ["", "#", "#shlink:/", "#shlink:/e30", "#shlink:/%%%", `#shlink:/${base64url("[1]")}`])
  test(`${hash || "nothing"} is no payload`, () => assert.equal(payloadOf(hash), null));

test("base64url with a dash and an underscore is read", () =>
  assert.deepEqual([...bytesOf("--__")], [...Buffer.from("--__", "base64url")]));

test("a compact JWE is decrypted with the key of the link", async () => {
  const [key, iv] = [webcrypto.getRandomValues(new Uint8Array(32)), webcrypto.getRandomValues(new Uint8Array(12))];
  const header = base64url(JSON.stringify({ alg: "dir", enc: "A256GCM" }));
  const secret = await webcrypto.subtle.importKey("raw", key, "AES-GCM", false, ["encrypt"]);
  const how = { name: "AES-GCM", iv, additionalData: new TextEncoder().encode(header) };
  const text = new TextEncoder().encode(JSON.stringify(BUNDLE));
  const sealed = new Uint8Array(await webcrypto.subtle.encrypt(how, secret, text));
  const jwe = [header, "", base64url(iv), base64url(sealed.slice(0, -16)), base64url(sealed.slice(-16))].join(".");
  assert.deepEqual(await decrypted(jwe, base64url(key)), BUNDLE);
  await assert.rejects(decrypted(jwe, base64url(new Uint8Array(32))));
});

test("the PDFs of a bundle are found, and whose they are", () => {
  assert.equal(personIn(BUNDLE), "Ella Sample");
  assert.deepEqual(
    papersIn(BUNDLE).map(({ title, content }) => [title, Buffer.from(content).toString()]),
    [["Letter", "%PDF"]],
  );
  assert.deepEqual([personIn({}), papersIn({})], ["", []]);
});
