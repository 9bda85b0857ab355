/**
 * When a photo was taken, in its Exif data: read from the original and written into its reduced copy.
 */

const SPAN = 262_144; // cameras write it near the start, WebP at the end
const MARKS = /(?:Exif\0\0|eXIf|EXIF[^]{4})(?=II\*\0|MM\0\*)/g;
const [EXIF_IFD, TAKEN] = [0x8769, 0x9003];
const DATE = /^\d{4}:\d\d:\d\d \d\d:\d\d:\d\d$/;

/** @param {ArrayBuffer} bytes @param {number} [start] @param {number} [length] @returns {string} a sign per byte */
const letters = (bytes, start = 0, length = bytes.byteLength - start) =>
  new TextDecoder("latin1").decode(new Uint8Array(bytes, start, length));

/** @param {Blob} photo @returns {Promise<string>} "2026:03:12 09:41:00", or "" if it is not known */
export async function takenAt(photo) {
  for (const part of [photo.slice(0, SPAN), photo.slice(Math.max(SPAN, photo.size - SPAN))]) {
    const bytes = await part.arrayBuffer();
    for (const { index, 0: mark } of letters(bytes).matchAll(MARKS)) {
      const found = dateIn(bytes, index + mark.length);
      if (found) return found;
    }
  }
  return "";
}

/** @param {ArrayBuffer} bytes @param {number} start of the TIFF header @returns {string} */
function dateIn(bytes, start) {
  const tiff = new DataView(bytes, start);
  const little = letters(bytes, start, 2) === "II";
  /** @param {number} at @param {number} tag @returns {number} its value, or where it starts; 0 if there is none */
  const valueOf = (at, tag) => {
    for (let row = at + 2, left = tiff.getUint16(at, little); left > 0; row += 12, left--)
      if (tiff.getUint16(row, little) === tag) return tiff.getUint32(row + 8, little);
    return 0;
  };
  try {
    const details = valueOf(tiff.getUint32(4, little), EXIF_IFD);
    const at = details && valueOf(details, TAKEN);
    const date = at ? letters(bytes, start + at, 19) : "";
    return DATE.test(date) ? date : "";
  } catch (error) {
    if (error instanceof RangeError) return ""; // damaged, or cut off
    throw error;
  }
}

/** @param {Blob} jpeg @param {string} taken "" leaves it as it is @returns {Promise<Blob>} */
export async function withTaken(jpeg, taken) {
  if (!taken) return jpeg;
  const head = new DataView(await jpeg.slice(0, 6).arrayBuffer());
  const at = head.getUint16(2) === 0xffe0 ? 4 + head.getUint16(4) : 2; // after the JFIF segment, which must be first
  return new Blob([jpeg.slice(0, at), segment(taken), jpeg.slice(at)], { type: jpeg.type });
}

/** @param {string} taken @returns {ArrayBuffer} an APP1 segment with nothing but the time */
function segment(taken) {
  const bytes = new ArrayBuffer(74);
  const [view, at] = [new DataView(bytes), 10]; // where the TIFF header starts
  const put = (/** @type {number} */ start, /** @type {string} */ text) =>
    new Uint8Array(bytes, start, text.length).set([...text].map((sign) => sign.charCodeAt(0)));
  /** @param {number} start @param {number} tag @param {number} type @param {number} count @param {number} value */
  const directory = (start, tag, type, count, value) => {
    [1, tag, type].forEach((number, index) => view.setUint16(start + 2 * index, number));
    [count, value, 0].forEach((number, index) => view.setUint32(start + 6 + 4 * index, number));
  };
  view.setUint32(0, 0xffe10048);
  put(4, "Exif\0\0MM\0*");
  view.setUint32(at + 4, 8);
  directory(at + 8, EXIF_IFD, 4, 1, 26);
  directory(at + 26, TAKEN, 2, 20, 44);
  put(at + 44, taken);
  return bytes;
}
