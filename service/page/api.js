/** What the page asks of the service. */

import * as kept from "./kept.js";
import { t } from "./words.js";

const RETRIED = [300, 1000, 2000, 4000]; // milliseconds
const MOST_FILES = 50; // of a request; the service takes 100, and 64 MB, unless it is told otherwise
const MOST_BYTES = 48e6;
let key = kept.get("key") ?? "";
const listeners = { key: () => {}, connection: () => {}, changed: () => {} };
let lost = false;

/** Why something was refused: a sentence for people, and the problem as the service told it. */
export class Problem extends Error {
  constructor(status, problem) {
    super(problem.detail ?? problem.title ?? String(status));
    this.status = status;
    this.kind = (problem.type ?? "").replace("urn:catalog:", "");
    this.problem = problem;
  }
}

/** Have something told: `key` when one is asked for, `connection` when it is lost or back, `changed` after a change. */
export const on = (name, listener) => { listeners[name] = listener; };

/** Use a key from now on; it is kept in this browser. */
export function useKey(given) {
  key = given.replace(/[^!-~]/g, ""); // what a header cannot have came with it by mistake
  kept.set("key", key || null);
}

/** Whether requests bring a key. */
export const hasKey = () => key !== "";

/** Read something. */
export const read = (path, parameters) => call("GET", address(path, parameters));

/** Ask about a picture, which changes nothing. */
export const ask = (path, parameters, picture) =>
  call("POST", address(path, parameters), { body: picture, type: typeOf(picture) });

/** Change something, once, however often it has to be sent. */
export async function write(method, path, parameters, sent) {
  const body = sent instanceof Blob || sent instanceof FormData || sent === undefined ? sent : JSON.stringify(sent);
  const type = sent instanceof FormData || sent === undefined ? null : sent instanceof Blob ? typeOf(sent) : "application/json";
  let found;
  try {
    found = await call(method, address(path, parameters), { body, type, once: newKey() });
  } catch (error) {
    if (error.kind !== "already-done") throw error;
    found = { event: error.problem.event ?? null, again: true }; // before the answer was lost
  }
  listeners.changed(found);
  return found;
}

/** Take back a command, by the first of its events, if nothing was done since. */
export async function undo(command) {
  try {
    return await write("POST", "v1/undo", { command });
  } catch (error) {
    throw error.kind === "conflict" ? new Problem(409, { type: "urn:catalog:not-last" }) : error;
  }
}

/**
 * Add photos to a class, or make it of them: as many requests as it takes.
 *
 * @returns {Promise<Object>} what the service says of the last, with the sums of all.
 */
export async function add(label, files, isNew) {
  let found = null;
  for (const some of batches(files)) {
    const form = new FormData();
    for (const file of some) form.append("picture", file, file.name || "photo");
    const nothing = { label, added: 0, known: 0, refused: [] }; // is told where the answer was lost
    const next = { ...nothing, ...(await write("POST", isNew && found === null ? "v1/classes" : "v1/items", { label }, form)) };
    found = found === null ? next : {
      ...next, added: found.added + next.added, known: found.known + next.known, refused: [...found.refused, ...next.refused],
    };
  }
  return found;
}

/** Take items to a class, which is made if there is none of that name. */
export async function move(items, label) {
  try {
    return await write("POST", "v1/items/move", {}, { items, label });
  } catch (error) {
    if (error.kind !== "not-found") throw error;
    return write("POST", "v1/items/move", {}, { items, label, new: true });
  }
}

/** Files in parts that a request may have. */
function batches(files) {
  const found = [[]];
  let size = 0;
  for (const file of files) {
    if (found.at(-1).length === MOST_FILES || (size + file.size > MOST_BYTES && found.at(-1).length)) {
      found.push([]);
      size = 0;
    }
    found.at(-1).push(file);
    size += file.size;
  }
  return found;
}

/** The address of an item's small picture. */
export const thumbnail = (item) => `v1/items/${item}/thumbnail?side=224`;

/** A picture by its address, as a Blob, brought with the key; null where there is none. */
export async function picture(path) {
  const response = await fetch(path, { headers: headers() });
  return response.ok ? response.blob() : null;
}

/**
 * Follow the events of a job until it ends, or the signal says so.
 *
 * @param {number} job its id.
 * @param {(job: Object) => void} tell is told of each change.
 * @param {AbortSignal} signal ends it.
 */
export async function follow(job, tell, signal) {
  for (;;) {
    try {
      const response = await fetch(`v1/jobs/${job}/events`, { headers: headers(), signal });
      if (response.status === 404) return;
      if (response.ok && (await eachEvent(response.body, tell))) return;
    } catch (error) {
      if (signal.aborted) return;
    }
    await pause(1000); // the service came to its end: it goes on when there is one again
    if (signal.aborted) return;
  }
}

async function eachEvent(stream, tell) {
  const reader = stream.pipeThrough(new TextDecoderStream()).getReader();
  for (let text = ""; ;) {
    const { value, done } = await reader.read();
    if (done) return false;
    text += value;
    const events = text.split("\n\n");
    text = events.pop();
    for (const event of events) {
      const data = /^data: (.*)$/m.exec(event);
      if (data) tell(JSON.parse(data[1]));
      if (/^event: end$/m.test(event)) return true;
    }
  }
}

async function call(method, path, { body, type, once } = {}) {
  for (let tries = 0; ; tries += 1) {
    const response = await attempt(method, path, { body, type, once });
    const wait = RETRIED[tries];
    if (response === null || response.status === 503) {
      if (wait === undefined) throw response === null ? new Problem(0, { detail: t("lost") }) : await problemOf(response);
      await pause(wait);
      continue;
    }
    if (response.status === 401) {
      await listeners.key(hasKey()); // until one is given
      tries = -1;
      continue;
    }
    if (response.ok) return response.status === 204 ? null : response.json();
    throw await problemOf(response);
  }
}

async function attempt(method, path, { body, type, once }) {
  const given = headers();
  if (type) given["content-type"] = type;
  if (once) given["idempotency-key"] = once;
  try {
    const response = await fetch(path, { method, headers: given, body });
    told(false);
    return response;
  } catch {
    if (body instanceof Blob) await readable(body);
    told(true); // the service is away, or the line is
    return null;
  }
}

/** Make sure that a file is still what was chosen: else the browser does not send it, and does not say why. */
async function readable(file) {
  try {
    await file.slice(0, 1).arrayBuffer();
  } catch {
    throw new Problem(409, { type: "urn:catalog:file-changed", detail: "" });
  }
}

function told(isLost) {
  if (isLost !== lost) listeners.connection(isLost);
  lost = isLost;
}

async function problemOf(response) {
  const problem = await response.json().catch(() => ({}));
  return new Problem(response.status, problem);
}

const headers = () => (key ? { authorization: `Bearer ${key}` } : {});
const typeOf = (file) => (file.type.startsWith("image/") ? file.type : "application/octet-stream");
const newKey = () => [...crypto.getRandomValues(new Uint8Array(16))].map((one) => one.toString(16).padStart(2, "0")).join("");
const pause = (milliseconds) => new Promise((done) => setTimeout(done, milliseconds));

function address(path, parameters = {}) {
  const search = new URLSearchParams();
  for (const [name, value] of Object.entries(parameters)) {
    for (const one of Array.isArray(value) ? value : [value]) {
      if (one !== undefined && one !== null && one !== "") search.append(name, one);
    }
  }
  return search.size ? `${path}?${search}` : path;
}
