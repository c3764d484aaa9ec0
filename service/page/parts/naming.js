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
 */
export function ClassField({ choose, first = [], isNew = false, mayBeNew = true, label = t("name.label") }) {
  const [text, setText] = useState("");
  const [found, setFound] = useState([]);
  const [at, setAt] = useState(-1);
  const id = useRef(`names-${(count += 1)}`).current;
  const wanted = text.trim();
  useEffect(() => {
    let current = true;
    const look = async () => {
      const { classes } = await read("v1/classes", { search: wanted, limit: SHOWN });
      if (current) setFound(classes.map((one) => one.label));
    };
    const waiting = setTimeout(() => look().catch(() => {}), wanted ? 80 : 0);
    return () => { current = false; clearTimeout(waiting); };
  }, [wanted]);

  const fits = found.filter((one) => one.toLocaleLowerCase().includes(wanted.toLocaleLowerCase())); // those of what is typed by now
  const known = wanted ? fits : [...new Set([...first, ...(isNew ? [] : found)])].slice(0, SHOWN);
  const exact = known.find((one) => one.toLocaleLowerCase() === wanted.toLocaleLowerCase());
  const options = known.map((one) => ({ label: one, isNew: false }));
  if (mayBeNew && wanted && !exact) options[isNew ? "unshift" : "push"]({ label: wanted, isNew: true });
  const marked = at >= 0 && at < options.length ? at : wanted || isNew ? 0 : -1;

  const key = (event) => {
    const step = { ArrowDown: 1, ArrowUp: -1 }[event.key];
    if (step && options.length) {
      event.preventDefault();
      setAt((marked + step + options.length) % options.length);
    } else if (event.key === "Enter") {
      event.preventDefault();
      if (options[marked]) choose(options[marked].label);
    }
  };
  return html`
    <label class="field"><span>${label}</span>
      <input role="combobox" aria-expanded=${options.length > 0} aria-controls=${id} aria-autocomplete="list"
        aria-activedescendant=${marked >= 0 && options.length ? `${id}-${marked}` : null} autocomplete="off" spellcheck="false"
        maxlength="200" autofocus value=${text} onKeyDown=${key}
        onInput=${(event) => { setText(event.target.value); setAt(-1); }} /></label>
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
