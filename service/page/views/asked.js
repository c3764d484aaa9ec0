/** Photos that are asked about, several at a time, and what came of each. */

import { Problem, ask, move, undo, write } from "../api.js";
import { useCallback, useEffect, useReducer, useRef } from "../html.js";
import { written } from "../parts/boxed.js";
import { keepsUnknown } from "../parts/keeping.js";
import { shrunk } from "../parts/picture.js";

const AT_ONCE = 4;
const NEIGHBOURS = 8;
const MOST = 500; // photos at a time
const AGAIN = 2000; // milliseconds until a service that is away is asked again

let count = 0;

/**
 * The photos and their answers, kept as long as the page is open, whichever view is shown.
 *
 * Each has `id`, `file`, `address` and `small` (null where the browser cannot show it), `box`, `state` (waiting,
 * asking, answered, refused), `prediction`, `neighbours`, `error`, `said`: what the reader said
 * that it shows, and `saying` while that is on its way.
 */
let photos = [];
const watching = new Set();

function set(next) {
  photos = next;
  watching.forEach((tell) => tell());
}

const change = (id, what) => set(photos.map((one) => (one.id === id ? { ...one, ...what } : one)));

/** Ask about some more photos. */
export function add(files) {
  const room = files.slice(0, MOST - photos.length);
  const come = room.map((file) => ({
    id: (count += 1), file, name: file.name || "", address: URL.createObjectURL(file), small: undefined, box: null, state: "waiting",
  }));
  set([...photos, ...come]);
  fill();
  return { first: come[0]?.id ?? null, over: files.length - room.length };
}

/** Put photos away; all of them by default. */
export function clear(ids = photos.map((one) => one.id)) {
  for (const one of photos.filter((photo) => ids.includes(photo.id))) {
    URL.revokeObjectURL(one.address);
    if (one.small) URL.revokeObjectURL(one.small);
  }
  set(photos.filter((photo) => !ids.includes(photo.id)));
}

/** Ask about a photo again: with another box, or because something was learnt. */
export function again(id, box = photos.find((one) => one.id === id).box) {
  const { box: before, said } = photos.find((one) => one.id === id);
  change(id, { box, state: "waiting", error: null, said: box === before ? said : null });
  fill();
}

/** Say what a photo shows; the catalogue learns from it. */
export async function say(id, label) {
  const one = photos.find((photo) => photo.id === id);
  change(id, { saying: true });
  try {
    const said = { label, ...(await write("POST", "v1/feedback", { label, box: written(one.box) }, one.file)) };
    change(id, { said });
    return said;
  } finally {
    change(id, { saying: false });
  }
}

/** Take a photo that is known already to another class. */
export async function take(id, item, label) {
  change(id, { saying: true });
  try {
    const said = { label, outcome: "corrected", added: false, ...(await move([item], label)) };
    change(id, { said });
    return said;
  } finally {
    change(id, { saying: false });
  }
}

/** The photo of which something was said last, if that can be taken back. */
export const saidLast = () =>
  photos.reduce((last, one) => (one.said && one.said.event > (last?.said.event ?? 0) ? one : last), null);

/** Take back what was said of a photo. */
export async function unsay(id) {
  await undo(photos.find((one) => one.id === id).said.event);
  change(id, { said: null });
  return {};
}

/** Begin with as many of those that wait as may be under way. */
function fill() {
  const free = AT_ONCE - photos.filter((one) => one.state === "asking").length;
  for (const one of photos.filter((photo) => photo.state === "waiting").slice(0, free)) answer(one);
}

async function answer({ id, file, box, small }) {
  change(id, { state: "asking" });
  const where = { box: written(box) };
  const keep = keepsUnknown() && !box;
  try {
    const [predicted, near] = await Promise.all([
      ask("v1/predict", { ...where, top: 5, keep_unknown: keep || undefined }, file),
      ask("v1/nearest", { ...where, k: NEIGHBOURS }, file),
    ]);
    const { prediction } = predicted.answers[0];
    if (isStill(id, box)) change(id, { state: "answered", prediction, neighbours: near.answers[0].neighbours });
  } catch (error) {
    if (!(error instanceof Problem)) { // a fault of the page: it is told, and others are answered
      change(id, { state: "refused", error: new Problem(500, { type: "urn:catalog:fault" }) });
      throw error;
    }
    if (error.status === 0) setTimeout(() => { if (isStill(id, box)) { change(id, { state: "waiting" }); fill(); } }, AGAIN);
    else if (isStill(id, box)) change(id, { state: "refused", error });
  } finally {
    fill();
  }
  if (small === undefined) {
    change(id, { small: null });
    const made = await shrunk(file);
    if (photos.some((one) => one.id === id)) change(id, { small: made });
    else if (made) URL.revokeObjectURL(made);
  }
}

/** Whether the photo is there, and asked about with this box. */
const isStill = (id, box) => photos.some((one) => one.id === id && one.box === box);

/** The photos, for a view that shows them. */
export function usePhotos() {
  const [, draw] = useReducer((number) => number + 1, 0);
  useEffect(() => {
    watching.add(draw);
    return () => watching.delete(draw);
  }, []);
  return photos;
}

/** The photo that is looked at, of those that there are. */
export function useSelected(all) {
  const selected = useRef(null);
  const [, draw] = useReducer((number) => number + 1, 0);
  const select = useCallback((id) => { selected.current = id; draw(); }, []);
  const found = all.find((one) => one.id === selected.current) ?? all[0] ?? null;
  return [found, select];
}
