/** What every view has at hand: notes to show, and things that are read from the service. */

import { Problem, undo } from "../api.js";
import { createContext, useCallback, useContext, useEffect, useRef, useState } from "../html.js";
import { has, t } from "../words.js";

const AGAIN = 3000; // milliseconds until a service that is away is asked again

/** `changes` grows whenever the catalogue may have changed; `note` shows a sentence for a while. */
export const Shared = createContext({ changes: 0, note: () => {} });

/**
 * Something that is read from the service, and read again when the catalogue changes.
 *
 * @param {() => Promise} load reads it.
 * @param {Array} on what it depends on.
 * @returns {{value: any, error: Problem|null, loading: boolean, reload: () => void}}
 */
export function useLoaded(load, on = []) {
  const { changes } = useContext(Shared);
  const [asked, setAsked] = useState(0);
  const [state, setState] = useState({ value: undefined, error: null, loading: true });
  useEffect(() => {
    let current = true;
    let later = null;
    setState((before) => ({ ...before, loading: true }));
    load().then(
      (value) => current && setState({ value, error: null, loading: false }),
      (error) => {
        if (!current) return;
        setState((before) => ({ ...before, error, loading: false }));
        if (error.status === 0) later = setTimeout(() => setAsked((before) => before + 1), AGAIN); // it is away
      },
    );
    return () => { current = false; clearTimeout(later); };
  }, [...on, changes, asked]);
  return { ...state, reload: useCallback(() => setAsked((before) => before + 1), []) };
}

/**
 * Do changes, one at a time, and say how they went.
 *
 * @returns {[boolean, (change: () => Promise, said: (result: Object) => string) => Promise]} whether one
 *   is under way, and what does one: it resolves to the result, or null where it failed.
 */
export function useChange() {
  const { note } = useContext(Shared);
  const [busy, setBusy] = useState(false);
  const going = useRef(false);
  const change = useCallback(async (act, said) => {
    if (going.current) return null;
    going.current = true;
    setBusy(true);
    try {
      const result = await act();
      const text = result.again ? t("done.again") : said?.(result);
      if (text) note({ text, undo: result.event ?? null });
      return result;
    } catch (error) {
      note({ text: worded(error), bad: true });
      return null;
    } finally {
      going.current = false;
      setBusy(false);
    }
  }, [note]);
  return [busy, change];
}

/** Take something back, and say so. */
export function useUndo() {
  const [busy, change] = useChange();
  return [busy, (event) => change(() => undo(event), () => t("undone"))];
}

/** What went wrong, as a sentence for the reader; a fault of the page itself is thrown on. */
export function worded(error) {
  if (!(error instanceof Problem)) throw error;
  return problem(error.kind, error.problem, error.message);
}

/** The same of a problem as the service tells it: in words of ours where there are some. */
export function problem(kind, { reason, existing }, detail) {
  if (reason && has(`refused.${reason}`)) return t(`refused.${reason}`);
  if (has(`problem.${kind}`)) return t(`problem.${kind}`, { existing });
  return detail.split("; ")[0]; // what can be done is said to programs
}

/** What was refused of several photos, in a sentence. */
export const refusals = (result) =>
  result.refused.length
    ? ` ${t("refused.some", { n: result.refused.length, why: problem("", result.refused[0], result.refused[0].detail) })}`
    : "";

/** The address of a class's view. */
export const toClass = (label) => `#/classes/${encodeURIComponent(label)}`;
