/** Reads a SMART Health Link with the library `kill-the-clipboard`: a JSON object on standard input, the answer out. */
import { readFileSync } from "node:fs";
import { SHLViewer } from "kill-the-clipboard";

const { text, ...asked } = JSON.parse(readFileSync(0, "utf8"));
const viewer = new SHLViewer({ shlinkURI: text });
const { requiresPasscode, isLongTerm, isDirectFile, label } = viewer.shl;
const said = { requiresPasscode, isLongTerm, isDirectFile, label };
try {
  const { fhirResources, manifest } = await viewer.resolveSHL(asked);
  const kinds = (manifest?.files ?? []).map((file) => ("embedded" in file ? "embedded" : "location"));
  console.log(JSON.stringify({ ...said, kinds, resources: fhirResources }));
} catch (error) {
  console.log(JSON.stringify({ ...said, error: error.constructor.name, message: error.message }));
}
