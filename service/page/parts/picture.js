/** Small pictures: of items, and of what the reader has brought. */

import { hasKey, picture, thumbnail } from "../api.js";
import { html, useEffect, useState } from "../html.js";
import { t } from "../words.js";
import { Icon } from "./icons.js";

const KEPT = 400; // small pictures that came with a key, and are shown no more, as addresses of blobs
const brought = new Map(); // by item: its address, and how many show it

/** The picture of an item, small; a sign where there is none. */
export function Thumbnail({ item, label = "" }) {
  const [address, setAddress] = useState(() => (hasKey() ? null : thumbnail(item)));
  const [gone, setGone] = useState(false);
  useEffect(() => {
    setGone(false);
    if (!hasKey()) return setAddress(thumbnail(item));
    let current = true;
    setAddress(null);
    const showing = bring(item);
    showing.then((found) => current && (found ? setAddress(found) : setGone(true)));
    return () => { current = false; showing.then(() => letGo(item)); };
  }, [item]);
  if (gone) return html`<span class="thumb none" role="img" aria-label=${label || t("no.picture")}><${Icon} name="photo" /></span>`;
  return html`
    <span class="thumb">${address && html`<img src=${address} alt=${label} loading="lazy" decoding="async" onError=${() => setGone(true)} />`}</span>`;
}

/** The address of an item's small picture, which is shown once more; null where there is none. */
async function bring(item) {
  if (!brought.has(item)) brought.set(item, { shown: 0, address: picture(thumbnail(item)).then(addressOf, () => null) });
  const found = brought.get(item);
  found.shown += 1;
  return found.address;
}

const addressOf = (blob) => (blob === null ? null : URL.createObjectURL(blob));

/** Note that it is shown once less; of those that nobody shows the oldest go. */
async function letGo(item) {
  const found = brought.get(item);
  found.shown -= 1;
  const unseen = [...brought].filter(([, one]) => one.shown === 0);
  for (const [oldest, one] of unseen.slice(0, Math.max(0, unseen.length - KEPT))) {
    brought.delete(oldest);
    const address = await one.address;
    if (address) URL.revokeObjectURL(address);
  }
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
