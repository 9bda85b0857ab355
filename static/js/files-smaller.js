/**
 * Reduces photos over the limit. Scans, PDFs, animated pictures and DICOM files are never altered.
 */

import { cleaned, endingOf, lay, pathOf } from "./files-names.js";
import { takenAt, withTaken } from "./files-taken.js";
import { _ } from "./i18n.js";

/** @typedef {{ width: number, height: number }} Size in pixels, as displayed */

const PHOTO = /\.(jpe?g|png|heic|heif|webp)$/;
const PHOTO_BYTES = /^(\xff\xd8\xff|\x89PNG|RIFF.{4}WEBP|.{4}ftyp(hei[cmsx]|hev[cx]|mif1|msf1))/s;
const ANIMATED = /^(\x89PNG.*acTL|RIFF.{4}WEBP.*ANIM)/s;
const QUALITIES = [0.92, 0.85, 0.78];
const MARGIN = 0.95;
const LONGEST_SIDE = 1000; // below this, text in a photographed letter is unreadable
const MOST_DRAWN = 4096 * 4096; // Safari's limit on phones; larger images silently come out empty
const MOST_OPENED = 120e6; // pixels that fit in a phone's memory
const ON_YOUR_DEVICE = _("Make it smaller on your device, then select it again.");
const GONE = _("This file can no longer be read. Select it again.");
const UNOPENED = `${_("This browser can’t open this photo.")} ${ON_YOUR_DEVICE}`;

/** @param {string} name @returns {string} */
function asJpeg(name) {
  const plain = cleaned(name);
  return /\.jpe?g$/i.test(plain) ? plain : plain.slice(0, plain.length - endingOf(plain).length) + ".jpg";
}

/**
 * @param {File} file
 * @param {readonly string[]} accepts
 * @returns {boolean} whether it is a photo and the reduced JPEG is accepted
 */
export const canShrink = (file, accepts = [".jpg", ".jpeg"]) =>
  PHOTO.test(endingOf(file.name)) && accepts.includes(endingOf(asJpeg(file.name)));

/**
 * Returns the photo as an upright JPEG under `maxSize` bytes, verified before it is returned.
 * @param {File} file @param {number} maxSize
 * @returns {Promise<File>} rejects with a message for the user
 */
export async function smaller(file, maxSize) {
  await mustBePhoto(file);
  const original = await opened(file);
  const before = { width: original.naturalWidth, height: original.naturalHeight };
  if (before.width * before.height > MOST_OPENED)
    throw new Error(`${_("This photo is too large for this browser.")} ${ON_YOUR_DEVICE}`);
  const { blob: reduced, ...after } = await shrunk(file, before, MARGIN * Math.min(maxSize, file.size));
  const blob = await withTaken(reduced, await takenAt(file));
  if (!alike(original, after, await opened(blob)))
    throw new Error(`${_("This browser can’t reduce this photo without damaging it.")} ${ON_YOUR_DEVICE}`);
  const result = new File([blob], asJpeg(file.name), { type: blob.type, lastModified: file.lastModified });
  lay(result, pathOf(file).join("/"));
  return result;
}

/**
 * Checks the bytes, so that a scan that is merely named .jpg is not altered.
 * @param {File} file
 */
async function mustBePhoto(file) {
  const head = await file.slice(0, 4096).arrayBuffer().catch(sentence(GONE));
  if (!head.byteLength) throw new Error(GONE);
  const first = String.fromCharCode(...new Uint8Array(head));
  if (!PHOTO_BYTES.test(first) || ANIMATED.test(first))
    throw new Error(`${_("This is not a photo.")} ${ON_YOUR_DEVICE}`);
}

/** @param {string} message @returns {(cause: unknown) => never} */
const sentence = (message) => (cause) => {
  throw cause instanceof DOMException ? new Error(message, { cause }) : cause;
};

/**
 * @param {Blob} blob
 * @returns {Promise<HTMLImageElement>} the image as browsers display it, with its EXIF orientation applied
 */
async function opened(blob) {
  const image = new Image();
  image.src = URL.createObjectURL(blob);
  await image
    .decode()
    .catch(sentence(UNOPENED))
    .finally(() => URL.revokeObjectURL(image.src));
  return image;
}

/** @param {File} file @param {Size} seen @param {number} target bytes @returns {Promise<Size & { blob: Blob }>} */
async function shrunk(file, seen, target) {
  const bitmap = await createImageBitmap(file, { imageOrientation: "from-image" }).catch(sentence(UNOPENED));
  try {
    if (bitmap.width !== seen.width || bitmap.height !== seen.height) throw new Error(UNOPENED);
    return await fitted(bitmap, target);
  } finally {
    bitmap.close();
  }
}

/**
 * Reduces the quality first, then the size.
 * @param {ImageBitmap} bitmap @param {number} target @returns {Promise<Size & { blob: Blob }>}
 */
async function fitted(bitmap, target) {
  const largest = Math.min(1, Math.sqrt(MOST_DRAWN / (bitmap.width * bitmap.height)));
  let qualities = QUALITIES;
  for (let scale = largest; scale === largest || scale * Math.max(bitmap.width, bitmap.height) >= LONGEST_SIDE;) {
    const { blob, ...size } = await encoded(bitmap, scale, qualities, target);
    if (blob.size <= target) return { blob, ...size };
    scale *= Math.min(0.9, Math.sqrt(target / blob.size));
    qualities = QUALITIES.slice(-1);
  }
  throw new Error(`${_("This photo can’t be made small enough here.")} ${ON_YOUR_DEVICE}`);
}

/**
 * @param {ImageBitmap} bitmap @param {number} scale @param {number[]} qualities @param {number} target
 * @returns {Promise<Size & { blob: Blob }>} at the first quality that meets the target, or else at the last one
 */
async function encoded(bitmap, scale, qualities, target) {
  const [width, height] = [bitmap.width, bitmap.height].map((side) => Math.max(1, Math.floor(side * scale)));
  const { canvas } = drawn(bitmap, { width, height });
  try {
    let blob = await jpeg(canvas, qualities[0]);
    for (const quality of qualities.slice(1)) if (blob.size > target) blob = await jpeg(canvas, quality);
    return { blob, width, height };
  } finally {
    canvas.width = canvas.height = 0; // Safari frees canvas memory late
  }
}

/**
 * @param {ImageBitmap | HTMLImageElement | HTMLCanvasElement} picture @param {Size} size
 * @returns {CanvasRenderingContext2D} with transparent areas turned white
 */
function drawn(picture, { width, height }) {
  const canvas = Object.assign(document.createElement("canvas"), { width, height });
  const context = /** @type {CanvasRenderingContext2D} */ (canvas.getContext("2d"));
  Object.assign(context, { imageSmoothingQuality: "high", fillStyle: "white" });
  context.fillRect(0, 0, width, height);
  context.drawImage(picture, 0, 0, width, height);
  return context;
}

/** @param {HTMLCanvasElement} canvas @param {number} quality @returns {Promise<Blob>} */
const jpeg = (canvas, quality) =>
  new Promise((resolve, reject) =>
    canvas.toBlob(
      (blob) => (blob?.type === "image/jpeg" ? resolve(blob) : reject(new Error(UNOPENED))),
      "image/jpeg",
      quality,
    ),
  );

/**
 * @param {HTMLImageElement} original @param {Size} size @param {HTMLImageElement} result
 * @returns {boolean} whether both show the same image in the same orientation
 */
function alike(original, { width, height }, result) {
  if (result.naturalWidth !== width || result.naturalHeight !== height) return false;
  const [one, other] = [original, result].map(glance);
  const middle = mean(one);
  const apart = mean(one.map((grey, index) => Math.abs(grey - other[index])));
  // a scaled-down page of text has little contrast
  return apart <= Math.max(2, mean(one.map((grey) => Math.abs(grey - middle))) / 3);
}

/**
 * @param {HTMLImageElement} image
 * @returns {number[]} its scaled-down gray values, halved step by step because a single step would skip most pixels
 */
function glance(image) {
  let context = drawn(image, { width: 1024, height: 1024 });
  for (let side = 512; side >= 64; side /= 2) context = drawn(context.canvas, { width: side, height: side });
  const { data } = context.getImageData(0, 0, 64, 64);
  return Array.from({ length: 64 * 64 }, (_, index) => mean([...data.subarray(4 * index, 4 * index + 3)]));
}

/** @param {number[]} numbers @returns {number} */
const mean = (numbers) => numbers.reduce((sum, number) => sum + number, 0) / numbers.length;
