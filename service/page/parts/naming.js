/** Naming a class: one that there is, found as one types, or a new one. */

import { read } from "../api.js";
import { html, useEffect, useRef, useState } from "../html.js";
import { t } from "../words.js";
import { Dialog } from "./dialog.js";

const SHOWN = 8;
let count = 0;

/**
 * A field for the name of a class, with suggestions (the pattern "combobox" of the ARIA practices).
 *
 * @param {(label: string) => void} choose is given the name that was chosen.
 * @param {string[]} first the names that are suggested before anything is typed.
 * @param {boolean} isNew whether the name of a new class is what is expected.
 * @param {boolean} mayBeNew whether it can be one at all.
 * @param {?string} without a class that is none of the choices.
 */
export function ClassField({ choose, first = [], isNew = false, mayBeNew = true, without = null, label = t("name.label") }) {
  const [text, setText] = useState("");
  const [found, setFound] = useState({ of: null, labels: [] });
  const [at, setAt] = useState(-1);
  const id = useRef(`names-${(count += 1)}`).current;
  const wanted = text.trim();
  useEffect(() => {
    let current = true;
    const look = async () => {
      const { classes } = await read("v1/classes", { search: wanted, limit: SHOWN });
      if (current) setFound({ of: wanted, labels: classes.map((one) => one.label) });
    };
    const waiting = setTimeout(() => look().catch(() => {}), wanted ? 80 : 0);
    return () => { current = false; clearTimeout(waiting); };
  }, [wanted]);

  const isHere = found.of === wanted; // what is suggested is of what is typed by now
  const labels = isHere ? found.labels : [];
  const known = (wanted ? labels : [...new Set([...first, ...(isNew ? [] : labels)])].slice(0, SHOWN)).filter((one) => one !== without);
  const exact = known.find((one) => one.toLowerCase() === wanted.toLowerCase());
  const options = known.map((one) => ({ label: one, isNew: false }));
  if (mayBeNew && wanted && isHere && !exact) options[isNew ? "unshift" : "push"]({ label: wanted, isNew: true });
  const marked = at >= 0 && at < options.length ? at : wanted && options.length ? 0 : -1;
  const waiting = useRef(false); // for what is typed, with Enter pressed
  useEffect(() => {
    if (waiting.current && isHere) {
      waiting.current = false;
      if (options[marked]) choose(options[marked].label);
    }
  }, [isHere]);

  const key = (event) => {
    const step = { ArrowDown: 1, ArrowUp: -1 }[event.key];
    if (step && options.length) {
      event.preventDefault();
      setAt((marked + step + options.length) % options.length);
    } else if (event.key === "Enter" && !event.isComposing && !event.repeat) {
      event.preventDefault();
      if (!isHere) waiting.current = true;
      else if (options[marked]) choose(options[marked].label);
    }
  };
  return html`
    <label class="field"><span>${label}</span>
      <input role="combobox" aria-expanded=${options.length > 0} aria-controls=${id} aria-autocomplete="list"
        aria-activedescendant=${marked >= 0 && options.length ? `${id}-${marked}` : null} autocomplete="off" spellcheck="false"
        maxlength="200" autofocus value=${text} onKeyDown=${key}
        onInput=${(event) => { setText(event.target.value); setAt(-1); waiting.current = false; }} /></label>
    <ul class="options" id=${id} role="listbox" aria-label=${t("name.found")}>
      ${options.map((one, place) => html`
        <li key=${one.label} id=${`${id}-${place}`} role="option" aria-selected=${place === marked}
          onPointerDown=${(event) => event.preventDefault()} onClick=${() => choose(one.label)}>
          ${one.isNew ? t("name.make", { label: one.label }) : one.label}</li>`)}
    </ul>`;
}

/** The same as a question. */
export const Naming = ({ title, text, close, ...field }) => html`
  <${Dialog} title=${title} close=${close}>
    ${text && html`<p>${text}</p>`}
    <${ClassField} ...${field} />
  <//>`;
