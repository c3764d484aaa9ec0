/** One class: its photos, and what can be done with it. */

import { add, move, read, write } from "../api.js";
import { html, useContext, useEffect, useRef, useState } from "../html.js";
import { Buttons, useDropped } from "../parts/bring.js";
import { Dialog, Sure } from "../parts/dialog.js";
import { Icon } from "../parts/icons.js";
import { Naming } from "../parts/naming.js";
import { Thumbnail } from "../parts/picture.js";
import { Shared, refusals, toClass, useChange, worded } from "../parts/shared.js";
import { t } from "../words.js";

const PAGE = 120;
const go = (label) => { location.hash = label === null ? "#/classes" : toClass(label); };

export function Class({ rest: label }) {
  const [items, more, error] = useItems(label);
  const [chosen, setChosen] = useState(new Set());
  const [asking, setAsking] = useState(null);
  const [into, setInto] = useState(null); // what to merge it into
  const [busy, change] = useChange();
  const close = () => setAsking(null);
  const take = (files) => change(
    () => add(label, files, false),
    (result) => t("added", { n: result.added, label: result.label }) + (result.known ? ` ${t("known", { n: result.known })}` : "") + refusals(result),
  );
  const over = useDropped(take);
  const does = (act, said, then) => async () => {
    close();
    if (await change(act, said)) then?.();
  };
  const ids = (items ?? []).map((one) => one.id).filter((id) => chosen.has(id)); // others may have gone meanwhile
  const turn = (id) => setChosen((before) => {
    const after = new Set(before);
    if (!after.delete(id)) after.add(id);
    return after;
  });
  const merge = (into) => does(
    () => write("POST", "v1/classes/merge", {}, { labels: [label], into }), () => t("merged", { label, into }), () => go(into),
  )();
  const takeAway = (to) => does(
    () => move(ids, to),
    (result) => t("moved", { n: result.moved, label: result.label }),
    () => setChosen(new Set()),
  )();
  return html`
    <a class="back" href="#/classes"><${Icon} name="back" />${t("way.classes")}</a>
    <div class="row spread title ${over ? "over" : ""}"><h1>${label}</h1>
      ${!error && html`<div class="row">
        <button onClick=${() => setAsking("rename")}>${t("class.rename")}</button>
        <button onClick=${() => setAsking("merge")}>${t("class.merge")}</button>
        <button class="danger" onClick=${() => setAsking("delete")}>${t("class.delete")}</button>
      </div>`}</div>
    ${error && html`<p class="trouble">${worded(error)}</p>`}
    <div class="row spread">
      ${!error && html`<div class="row"><${Buttons} take=${take} /></div>`}
      ${ids.length > 0 && html`<div class="row" role="status"><span>${t("class.chosen", { n: ids.length })}</span>
        <button disabled=${busy} onClick=${() => setAsking("move")}>${t("class.move")}</button>
        <button class="danger" disabled=${busy} onClick=${does(
          () => write("DELETE", "v1/items", { item: ids }), (result) => t("removed", { n: result.items }), () => { setChosen(new Set()); if (ids.length === items.length) go(null); },
        )}>${t("class.remove")}</button></div>`}
    </div>
    <ul class="photos">${items?.map((one) => html`
      <li key=${one.id}><label class="pick"><input type="checkbox" checked=${chosen.has(one.id)} onChange=${() => turn(one.id)} />
        <${Thumbnail} item=${one.id} label=${t("class.photo", { id: one.id })} /></label></li>`)}</ul>
    ${more && html`<div class="row center"><button onClick=${more}>${t("more")}</button></div>`}
    ${asking === "rename" && html`<${Renaming} label=${label} close=${close} act=${(name) => does(
      () => write("POST", "v1/classes/rename", {}, { label, name }), (result) => t("renamed", { label: result.label }), () => go(name),
    )()} />`}
    ${asking === "merge" && html`<${Naming} title=${t("merge.title", { label })} text=${t("merge.why", { label })} mayBeNew=${false} without=${label}
      choose=${(into) => { setInto(into); setAsking("merging"); }} close=${close} />`}
    ${asking === "merging" && html`<${Sure} title=${t("class.merge")} text=${t("merge.sure", { label, into })} yes=${t("todo.merge")} busy=${busy} close=${close}
      act=${() => merge(into)} />`}
    ${asking === "move" && html`<${Naming} title=${t("move.title", { n: ids.length })} choose=${takeAway} close=${close} />`}
    ${asking === "delete" && html`<${Sure} title=${t("delete.title", { label })} text=${t("delete.why")} yes=${t("class.delete")} busy=${busy} close=${close}
      act=${does(() => write("DELETE", "v1/classes", { label }), (result) => t("deleted", { label, n: result.items }), () => go(null))} />`}`;
}

/** The items of a class, a page at a time, and read again when it changes. */
function useItems(label) {
  const { changes } = useContext(Shared);
  const [items, setItems] = useState(null);
  const [next, setNext] = useState(null);
  const [error, setError] = useState(null);
  const latest = useRef(0);
  const bring = async (after, before, limit) => {
    const mine = (latest.current += 1);
    const page = await read("v1/items", { label, after, limit });
    if (mine !== latest.current) return; // a later answer came first
    setItems([...before, ...page.items]);
    setNext(page.next);
    setError(null);
  };
  useEffect(() => {
    bring(0, [], Math.min(1000, Math.max(PAGE, items?.length ?? 0))).catch((found) => { setItems([]); setNext(null); setError(found); });
  }, [label, changes]);
  return [items, next === null ? null : () => bring(next, items, PAGE).catch(setError), error];
}

function Renaming({ label, act, close }) {
  const [name, setName] = useState(label);
  const send = (event) => {
    event.preventDefault();
    if (name.trim() && name.trim() !== label) act(name.trim());
  };
  return html`
    <${Dialog} title=${t("class.rename")} close=${close}>
      <form onSubmit=${send}>
        <label class="field"><span>${t("name.label")}</span>
          <input value=${name} required maxlength="200" autofocus onFocus=${(event) => event.target.select()} onInput=${(event) => setName(event.target.value)} /></label>
        <div class="row end"><button class="primary">${t("class.rename")}</button></div>
      </form>
    <//>`;
}
