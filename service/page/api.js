/** What the page asks of the service. */

import { t } from "./words.js";

const RETRIED = [300, 1000, 2000, 4000]; // milliseconds
let key = localStorage.getItem("key") ?? "";
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
  key = given.trim();
  if (key) localStorage.setItem("key", key);
  else localStorage.removeItem("key");
}

/** Whether requests bring a key. */
export const hasKey = () => key !== "";

/** Read something: JSON, or null where nothing has changed. */
export const read = (path, parameters) => call("GET", address(path, parameters));

/** Ask about a picture, which changes nothing. */
export const ask = (path, parameters, picture, signal) =>
  call("POST", address(path, parameters), { body: picture, type: typeOf(picture), signal });

/** Change something, once, however often it has to be sent. */
export async function write(method, path, parameters, sent) {
  const body = sent instanceof Blob || sent instanceof FormData || sent === undefined ? sent : JSON.stringify(sent);
  const type = sent instanceof FormData || sent === undefined ? null : sent instanceof Blob ? typeOf(sent) : "application/json";
  const found = await call(method, address(path, parameters), { body, type, once: newKey() });
  listeners.changed(found);
  return found;
}

/** Take back what led to an event, if nothing was done since. */
export async function undo(event) {
  const { events } = await read("v1/history", { last: 100 });
  const wanted = events.find((one) => one.id === event);
  return write("POST", "v1/undo", { command: wanted?.command ?? event });
}

/** Several pictures as the parts of one body. */
export function parts(files) {
  const form = new FormData();
  for (const file of files) form.append("picture", file, file.name || "photo");
  return form;
}

/** The address of an item's small picture. */
export const thumbnail = (item, side = 224) => `v1/items/${item}/thumbnail?side=${side}`;

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
      if (!response.ok) return;
      if (await eachEvent(response.body, tell)) return;
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

async function call(method, path, { body, type, once, signal } = {}) {
  for (let tries = 0; ; tries += 1) {
    const response = await attempt(method, path, { body, type, once, signal });
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

async function attempt(method, path, { body, type, once, signal }) {
  const given = headers();
  if (type) given["content-type"] = type;
  if (once) given["idempotency-key"] = once;
  try {
    const response = await fetch(path, { method, headers: given, body, signal });
    told(false);
    return response;
  } catch (error) {
    if (signal?.aborted) throw error;
    told(true); // the service is away, or the line is
    return null;
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
