/** The classes, found as one types. */

import { add, read } from "../api.js";
import { html, useContext, useEffect, useRef, useState } from "../html.js";
import { Buttons } from "../parts/bring.js";
import { Dialog } from "../parts/dialog.js";
import { Icon } from "../parts/icons.js";
import { Thumbnail } from "../parts/picture.js";
import { Rows } from "../parts/rows.js";
import { Shared, refusals, toClass, useChange, useLoaded, worded } from "../parts/shared.js";
import { t } from "../words.js";

let left = { text: "", top: 0 }; // where one was when one went to a class, to come back there

export function Classes() {
  const { changes } = useContext(Shared);
  const [text, setText] = useState(left.text);
  const [search, setSearch] = useState(left.text);
  const latest = useRef({});
  latest.current = { text, top: scrollY };
  useEffect(() => {
    const look = () => { latest.current.top = scrollY; };
    addEventListener("scroll", look, { passive: true });
    return () => {
      removeEventListener("scroll", look);
      left = location.hash.startsWith("#/classes/") ? latest.current : { text: "", top: 0 };
    };
  }, []);
  const [making, setMaking] = useState(false);
  useEffect(() => {
    const waiting = setTimeout(() => setSearch(text.trim()), 120);
    return () => clearTimeout(waiting);
  }, [text]);
  const { value, error } = useLoaded(() => read("v1/classes", { search, limit: 1 }), [search]);
  useEffect(() => {
    if (value && left.top) scrollTo(0, left.top);
    if (value) left = { text: "", top: 0 };
  }, [value]);
  const load = async (offset, limit) => (await read("v1/classes", { search, offset, limit })).classes;
  return html`
    <div class="row spread title"><h1>${t("way.classes")}</h1>
      <button class="primary" onClick=${() => setMaking(true)}><${Icon} name="plus" />${t("classes.new")}</button></div>
    <label class="search"><span class="sr">${t("classes.search")}</span><${Icon} name="search" />
      <input type="search" value=${text} placeholder=${t("classes.search")} onInput=${(event) => setText(event.target.value)} /></label>
    ${error && html`<p class="trouble">${worded(error)}</p>`}
    ${value && html`<p class="hint" role="status">${t(search ? "classes.found" : "classes.count", { n: value.total })}</p>`}
    ${value?.total > 0 && html`<${Rows} total=${value.total} load=${load} of=${`${search} ${changes}`} least=${250} height=${84} label=${t("way.classes")}
      draw=${(one) => html`<${Entry} one=${one} />`} />`}
    ${value?.total === 0 && !search && html`<div class="nothing"><p>${t("classes.none")}</p><a class="button primary" href="#/start">${t("classes.begin")}</a></div>`}
    ${making && html`<${Making} close=${() => setMaking(false)} />`}`;
}

function Entry({ one }) {
  const [item, setItem] = useState(null);
  useEffect(() => {
    let current = true;
    const waiting = setTimeout(() => { // not for what is scrolled past
      read("v1/items", { label: one.label, limit: 1 }).then(({ items }) => current && setItem(items[0]?.id ?? null), () => {});
    }, 120);
    return () => { current = false; clearTimeout(waiting); };
  }, [one.label, one.items]);
  return html`
    <a class="entry" href=${toClass(one.label)}>
      ${item ? html`<${Thumbnail} item=${item} />` : html`<span class="thumb"></span>`}
      <span class="what"><b>${one.label}</b><small>${t("n.photos", { n: one.items })}</small></span></a>`;
}

/** A new class: its name, and photos of it. */
function Making({ close }) {
  const [name, setName] = useState("");
  const [files, setFiles] = useState([]);
  const [busy, change] = useChange();
  const make = async (event) => {
    event.preventDefault();
    const made = await change(
      () => add(name.trim(), files, true),
      (result) => t("added", { n: result.added, label: result.label }) + refusals(result),
    );
    if (made) {
      close();
      location.hash = toClass(made.label);
    }
  };
  return html`
    <${Dialog} title=${t("classes.new")} close=${close}>
      <form onSubmit=${make}>
        <label class="field"><span>${t("name.label")}</span>
          <input value=${name} required maxlength="200" autofocus onInput=${(event) => setName(event.target.value)} /></label>
        <div class="row"><${Buttons} take=${(come) => setFiles((before) => [...before, ...come])} /></div>
        <p class="hint" role="status">${t("n.photos", { n: files.length })}</p>
        <div class="row end"><button class="primary" disabled=${busy || !files.length || !name.trim()}>${t("classes.make")}</button></div>
      </form>
    <//>`;
}
