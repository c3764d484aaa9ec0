/** Small pictures: of items, and of what the reader has brought. */

import { hasKey, picture, thumbnail } from "../api.js";
import { html, useEffect, useState } from "../html.js";
import { t } from "../words.js";
import { Icon } from "./icons.js";

const KEPT = 400; // small pictures that came with a key, as addresses of blobs
const brought = new Map();

/** The picture of an item, small; a sign where there is none. */
export function Thumbnail({ item, label = "" }) {
  const [address, setAddress] = useState(() => (hasKey() ? brought.get(item) ?? null : thumbnail(item)));
  const [gone, setGone] = useState(false);
  useEffect(() => {
    setGone(false);
    if (!hasKey()) return setAddress(thumbnail(item));
    if (brought.has(item)) return setAddress(brought.get(item));
    let current = true;
    setAddress(null);
    bring(item).then((found) => current && (found ? setAddress(found) : setGone(true)));
    return () => { current = false; };
  }, [item]);
  if (gone) return html`<span class="thumb none" role="img" aria-label=${label || t("no.picture")}><${Icon} name="photo" /></span>`;
  return html`
    <span class="thumb">${address && html`<img src=${address} alt=${label} loading="lazy" decoding="async" onError=${() => setGone(true)} />`}</span>`;
}

async function bring(item) {
  const found = await picture(thumbnail(item)).catch(() => null);
  if (found === null) return null;
  brought.set(item, URL.createObjectURL(found));
  if (brought.size > KEPT) {
    const [oldest, address] = brought.entries().next().value;
    brought.delete(oldest);
    URL.revokeObjectURL(address);
  }
  return brought.get(item);
}

/**
 * A small copy of a photo that was brought: an address, or null where the browser cannot show it.
 *
 * @param {Blob} file the photo.
 * @param {number} side of the copy, in pixels.
 */
export async function shrunk(file, side = 160) {
  try {
    const whole = await createImageBitmap(file);
    const scale = Math.min(1, side / Math.max(whole.width, whole.height));
    const size = [whole.width, whole.height].map((one) => Math.max(1, Math.round(one * scale)));
    const canvas = new OffscreenCanvas(...size);
    canvas.getContext("2d").drawImage(whole, 0, 0, ...size);
    whole.close();
    return URL.createObjectURL(await canvas.convertToBlob({ type: "image/jpeg", quality: 0.8 }));
  } catch {
    return null; // HEIC and TIFF, in most browsers; the service reads them all the same
  }
}
