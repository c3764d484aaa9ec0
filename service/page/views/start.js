/** An empty catalogue: name three things, photograph each, try. */

import { add, read } from "../api.js";
import { html, useEffect, useRef, useState } from "../html.js";
import { Buttons, dropped } from "../parts/bring.js";
import { Icon } from "../parts/icons.js";
import { shrunk } from "../parts/picture.js";
import { refusals, useChange, useLoaded } from "../parts/shared.js";
import { t } from "../words.js";

const SHOWN = 1000; // classes that are looked at

export function Start() {
  const { value } = useLoaded(() => read("v1/classes", { limit: SHOWN }));
  const [slots, setSlots] = useState([0, 1, 2]);
  const info = useLoaded(() => read("v1/info"));
  const total = value?.total ?? 0;
  return html`
    <section class="start">
      <h1>${t("start.title")}</h1>
      <p>${t("start.how")}</p>
      <ol class="slots">${slots.map((slot) => html`<${Slot} key=${slot} number=${slot + 1} there=${value?.classes} />`)}</ol>
      <div class="row spread">
        <button class="quiet" onClick=${() => setSlots((before) => [...before, before.length])}><${Icon} name="plus" />${t("start.more")}</button>
        ${total > 0 && html`<a class="button primary" href="#/ask">${t("start.try", { n: total })}</a>`}
      </div>
      ${info.value?.thumbnails === false && html`<p class="warn">${t("start.no.copies")}</p>`}
      <p class="hint">${t("start.import")} <a href="#/jobs">${t("way.jobs")}</a></p>
    </section>`;
}

/** One thing: its name, and photos of it. */
function Slot({ number, there }) {
  const [name, setName] = useState("");
  const [made, setMade] = useState(null); // the name under which it was made
  const [shown, setShown] = useState([]);
  const [over, setOver] = useState(false);
  const [busy, change] = useChange();
  const field = useRef(null);
  useEffect(() => { // it may have been taken back
    if (made !== null && !busy && there && there.length < SHOWN && !there.some((one) => one.label === made)) {
      setMade(null);
      setShown([]);
    }
  }, [there]);
  const take = async (files) => {
    if (!name.trim()) {
      field.current.setCustomValidity(t("start.name.first"));
      field.current.reportValidity();
      field.current.focus();
      return;
    }
    const added = await change(
      () => add(made ?? name.trim(), files, made === null),
      (result) => t("added", { n: result.added, label: result.label }) + refusals(result),
    );
    if (!added) return;
    setMade(added.label);
    const refused = added.refused.map((one) => one.place);
    const small = await Promise.all(files.filter((one) => !refused.includes(one.name)).map((file) => shrunk(file, 96)));
    setShown((before) => [...before, ...small].slice(-8));
  };
  const drop = async (event) => {
    event.preventDefault();
    event.stopPropagation();
    setOver(false);
    const files = await dropped(event.dataTransfer);
    if (files.length) take(files);
  };
  return html`
    <li class="slot ${over ? "over" : ""} ${made !== null ? "made" : ""}"
      onDragOver=${(event) => { event.preventDefault(); setOver(true); }} onDragLeave=${() => setOver(false)} onDrop=${drop}>
      <label class="field"><span>${t("start.name", { n: number })}</span>
        <input ref=${field} value=${name} disabled=${made !== null} maxlength="200" placeholder=${number > 3 ? "" : t(`start.example.${number - 1}`)}
          onInput=${(event) => { event.target.setCustomValidity(""); setName(event.target.value); }} /></label>
      <div class="row"><${Buttons} take=${take} /></div>
      <div class="small-pictures" aria-busy=${busy}>
        ${shown.map((address, place) => html`<span key=${place} class="thumb">${address ? html`<img src=${address} alt="" />` : html`<${Icon} name="photo" />`}</span>`)}
        ${!shown.length && html`<span class="hint">${busy ? t("ask.waiting") : t("start.photos")}</span>`}
      </div>
    </li>`;
}
