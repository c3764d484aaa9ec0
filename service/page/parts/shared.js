/** What every view has at hand: notes to show, and things that are read from the service. */

import { Problem, undo } from "../api.js";
import { createContext, useCallback, useContext, useEffect, useState } from "../html.js";
import { t } from "../words.js";

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
    setState((before) => ({ ...before, loading: true }));
    load().then(
      (value) => current && setState({ value, error: null, loading: false }),
      (error) => current && setState((before) => ({ ...before, error, loading: false })),
    );
    return () => { current = false; };
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
  const change = useCallback(async (act, said) => {
    setBusy(true);
    try {
      const result = await act();
      const text = said?.(result);
      if (text) note({ text, undo: result.event ?? null });
      return result;
    } catch (error) {
      note({ text: worded(error), bad: true });
      return null;
    } finally {
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

/** What went wrong, as a sentence; a fault of the page itself is thrown on. */
export function worded(error) {
  if (!(error instanceof Problem)) throw error;
  const [first, ...rest] = error.message;
  return first.toLocaleUpperCase() + rest.join("");
}
