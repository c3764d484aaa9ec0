/** A photo on which a box can be drawn round the thing, by pointer or by keys. */

import { html, useRef, useState } from "../html.js";
import { t } from "../words.js";
import { Icon } from "./icons.js";

const LEAST = 16; // pixels of the photo; less is a slip of the hand
const STEP = 0.02; // of the photo, for a key

/**
 * @param {string} address of the photo.
 * @param {?{x: number, y: number, width: number, height: number}} box in pixels of the photo as it is shown upright.
 * @param {boolean} isBad whether the service could not read it either.
 * @param {(box: ?Object) => void} change is told of another one; null for the whole photo.
 */
export function Boxed({ address, name, box, isBad, change }) {
  const frame = useRef(null);
  const photo = useRef(null);
  const [drawn, setDrawn] = useState(null); // while it is being drawn
  const [size, setSize] = useState(null); // of the photo
  const [blind, setBlind] = useState(false);
  const began = useRef(null);

  const at = (event) => {
    const { left, top, width, height } = photo.current.getBoundingClientRect();
    const [x, y] = [(event.clientX - left) / width, (event.clientY - top) / height];
    return { x: Math.min(1, Math.max(0, x)), y: Math.min(1, Math.max(0, y)) };
  };
  const down = (event) => {
    if (!size || event.button) return;
    began.current = at(event);
    frame.current.setPointerCapture(event.pointerId);
  };
  const move = (event) => {
    if (began.current) setDrawn(between(began.current, at(event), size));
  };
  const up = (event) => {
    if (!began.current) return;
    const found = between(began.current, at(event), size);
    began.current = null;
    setDrawn(null);
    if (found.width >= LEAST && found.height >= LEAST) change(found);
  };
  const key = (event) => {
    if (!size) return;
    if (event.key === "Enter" && !box) change(inside({ x: 0.25 * size.width, y: 0.25 * size.height, width: 0.5 * size.width, height: 0.5 * size.height }, size));
    else if (event.key === "Escape" && box) change(null);
    else if (box && event.key in STEPS) {
      const [x, y] = STEPS[event.key].map((one) => one * STEP * Math.max(size.width, size.height));
      change(inside(event.shiftKey ? { ...box, width: box.width + x, height: box.height + y } : { ...box, x: box.x + x, y: box.y + y }, size));
    } else return;
    event.preventDefault();
    event.stopPropagation();
  };
  const shown = drawn ?? box;
  const place = shown && size && {
    left: `${(100 * shown.x) / size.width}%`, top: `${(100 * shown.y) / size.height}%`,
    width: `${(100 * shown.width) / size.width}%`, height: `${(100 * shown.height) / size.height}%`,
  };
  return html`
    <figure class="boxed">
      <div class="canvas" ref=${frame} tabindex=${blind ? null : "0"} role="group" aria-label=${t("box.label", { name })}
        aria-describedby="box-help" onPointerDown=${down} onPointerMove=${move} onPointerUp=${up} onPointerCancel=${() => { began.current = null; setDrawn(null); }} onKeyDown=${key}>
        ${blind || !address
          ? html`<p class="blind"><${Icon} name="photo" />${t(isBad ? "no.picture" : "blind")}</p>`
          : html`<img ref=${photo} src=${address} alt="" draggable=${false} onError=${() => setBlind(true)}
              onLoad=${(event) => setSize({ width: event.target.naturalWidth, height: event.target.naturalHeight })} />`}
        ${place && html`<div class="box" style=${place}></div>`}
      </div>
      <figcaption>
        ${box
          ? html`<button class="small" onClick=${() => change(null)}><${Icon} name="wrong" />${t("box.remove")}</button>`
          : !blind && html`<span class="hint" id="box-help">${t("box.help")}</span>`}
      </figcaption>
    </figure>`;
}

const STEPS = { ArrowLeft: [-1, 0], ArrowRight: [1, 0], ArrowUp: [0, -1], ArrowDown: [0, 1] };

function between(one, other, size) {
  const [left, right] = [Math.min(one.x, other.x), Math.max(one.x, other.x)];
  const [top, bottom] = [Math.min(one.y, other.y), Math.max(one.y, other.y)];
  return inside({
    x: left * size.width, y: top * size.height, width: (right - left) * size.width, height: (bottom - top) * size.height,
  }, size);
}

/** A box in whole pixels, within the photo. */
function inside(box, size) {
  const x = Math.round(Math.min(Math.max(0, box.x), size.width - 1));
  const y = Math.round(Math.min(Math.max(0, box.y), size.height - 1));
  const width = Math.max(1, Math.min(Math.round(box.width), size.width - x));
  const height = Math.max(1, Math.min(Math.round(box.height), size.height - y));
  return { x, y, width, height };
}

/** The box as the service takes it; undefined for the whole photo. */
export const written = (box) => (box ? [box.x, box.y, box.width, box.height].join(",") : undefined);
