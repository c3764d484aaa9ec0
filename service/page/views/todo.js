/** What to do next: the audit as a list of things to do. */

import { move, read, write } from "../api.js";
import { html, useState } from "../html.js";
import { Sure } from "../parts/dialog.js";
import { KeepUnknown } from "../parts/keeping.js";
import { Naming } from "../parts/naming.js";
import { Thumbnail } from "../parts/picture.js";
import { toClass, useChange, useLoaded, worded } from "../parts/shared.js";
import { percent, t } from "../words.js";

const SHOWN = 12;
const LEAST = 0.1; // the share of photos that have to be confused, to be worth a look

export function ToDo() {
  const { value, error, loading } = useLoaded(() => read("v1/audit"));
  if (error) return html`<h1>${t("way.todo")}</h1><p class="trouble">${worded(error)}</p>`;
  if (!value) return html`<h1>${t("way.todo")}</h1><div class="wait tall" role="status"><span class="sr">${t("todo.looking")}</span></div>`;
  const { found, proposed, drift, kept } = value;
  const confusable = found.confusable.filter((one) => one.share >= LEAST);
  const lacking = found.classes.filter((one) => one.needs);
  const tasks = found.mislabelled.length + found.duplicates.length + confusable.length + lacking.length + proposed.length;
  return html`
    <div class="todo" aria-busy=${loading}>
      <h1>${t("way.todo")}</h1>
      <${Enough} found=${found} lacking=${lacking} tasks=${tasks} drift=${drift} />
      <${Some} title=${t("todo.proposed")} why=${t("todo.proposed.why")} all=${proposed} draw=${(one) => html`<${Proposed} key=${one.items[0]} one=${one} />`} />
      <section class="tasks"><h2>${t("todo.kept")} <span class="count">${kept}</span></h2><${KeepUnknown} /></section>
      <${Some} title=${t("todo.mislabelled")} why=${t("todo.mislabelled.why")} all=${found.mislabelled} draw=${(one) => html`<${Mislabelled} key=${one.item} one=${one} />`} />
      <${Some} title=${t("todo.duplicates")} why=${t("todo.duplicates.why")} all=${found.duplicates} draw=${(one) => html`<${Duplicate} key=${`${one.item} ${one.other_item}`} one=${one} />`} />
      <${Some} title=${t("todo.confusable")} why=${t("todo.confusable.why")} all=${confusable} draw=${(one) => html`<${Confusable} key=${`${one.label} ${one.other}`} one=${one} />`} />
      <${Some} title=${t("todo.lacking")} why=${t("todo.lacking.why")} all=${lacking} draw=${(one) => html`<${Lacking} key=${one.label} one=${one} />`} />
    </div>`;
}

/** Have I done enough? */
function Enough({ found, lacking, tasks, drift }) {
  const known = found.share_right !== null;
  return html`
    <section class="enough">
      <div class="figure"><b>${known ? percent(found.share_right) : "–"}</b><span>${t("enough.right")}</span></div>
      <div><h2>${t(!known ? "enough.unknown" : tasks ? "enough.todo" : "enough.done", { n: tasks })}</h2>
        <p>${known ? t("enough.how", { n: found.judged, classes: found.classes.length - lacking.length, of: found.classes.length }) : t("enough.photos")}</p>
        ${drift?.unknown.risen && html`<p class="warn">${t("drift.unknown", shares(drift.unknown))}</p>`}
        ${drift?.doubtful.risen && html`<p class="warn">${t("drift.doubtful", shares(drift.doubtful))}</p>`}
        ${drift?.less_sure.map((one) => html`<p key=${one.label} class="warn">${t("drift.class", { label: one.label })}</p>`)}
      </div>
    </section>`;
}

const shares = (rise) => ({ recent: percent(rise.recent / rise.of_recent), before: percent(rise.before / rise.of_before) });

/** The tasks of one kind, the first of many; nothing where there are none. */
function Some({ title, why, all, draw }) {
  const [most, setMost] = useState(SHOWN);
  if (!all.length) return null;
  return html`
    <section class="tasks"><h2>${title} <span class="count">${all.length}</span></h2><p class="hint">${why}</p>
      <ul>${all.slice(0, most).map(draw)}</ul>
      ${all.length > most && html`<button class="quiet" onClick=${() => setMost(most + 4 * SHOWN)}>${t("more")}</button>`}
    </section>`;
}

const Way = ({ label }) => html`<a href=${toClass(label)}>${label}</a>`;
const shift = (item, label) => () => write("POST", "v1/items/move", {}, { items: [item], label });
const moved = (result) => t("moved", { n: result.moved, label: result.label });

function Mislabelled({ one }) {
  const [busy, change] = useChange();
  return html`
    <li class="task"><${Thumbnail} item=${one.item} label=${t("class.photo", { id: one.item })} /><span class="arrow" aria-hidden="true">≈</span><${Thumbnail} item=${one.nearest_item} label=${one.proposed} />
      <p>${t("todo.is")} <${Way} label=${one.label} />, ${t("todo.looks")} <${Way} label=${one.proposed} />.</p>
      <div class="row"><button class="primary" disabled=${busy} onClick=${() => change(shift(one.item, one.proposed), moved)}>${t("todo.move", { label: one.proposed })}</button>
        <button disabled=${busy} onClick=${() => change(() => write("DELETE", "v1/items", { item: one.item }), (result) => t("removed", { n: result.items }))}>${t("class.remove")}</button></div></li>`;
}

function Duplicate({ one }) {
  const [busy, change] = useChange();
  return html`
    <li class="task"><${Thumbnail} item=${one.item} label=${one.label} /><span class="arrow" aria-hidden="true">=</span><${Thumbnail} item=${one.other_item} label=${one.other_label} />
      <p><${Way} label=${one.label} />, <${Way} label=${one.other_label} /></p>
      <div class="row"><button disabled=${busy} onClick=${() => change(shift(one.other_item, one.label), moved)}>${t("todo.both", { label: one.label })}</button>
        <button disabled=${busy} onClick=${() => change(shift(one.item, one.other_label), moved)}>${t("todo.both", { label: one.other_label })}</button></div></li>`;
}

function Confusable({ one }) {
  const [busy, change] = useChange();
  const [asking, setAsking] = useState(false);
  const merge = () => change(() => write("POST", "v1/classes/merge", {}, { labels: [one.label], into: one.other }), () => t("merged", { label: one.label, into: one.other }));
  return html`
    <li class="task"><p><${Way} label=${one.label} /> ${t("todo.for")} <${Way} label=${one.other} />: ${percent(one.share)}</p>
      <div class="row"><button disabled=${busy} onClick=${() => setAsking(true)}>${t("todo.merge")}</button></div>
      ${asking && html`<${Sure} title=${t("todo.merge")} text=${t("merge.sure", { label: one.label, into: one.other })} yes=${t("todo.merge")}
        busy=${busy} act=${() => { setAsking(false); merge(); }} close=${() => setAsking(false)} />`}</li>`;
}

const Lacking = ({ one }) => html`
  <li class="task"><p><${Way} label=${one.label} />: ${t(`needs.${one.needs}`, { n: one.groups, share: one.share_right === null ? "" : percent(one.share_right) })}</p>
    <div class="row"><a class="button" href=${toClass(one.label)}>${t("todo.add")}</a></div></li>`;

/** Unknown photos that belong together: named in one step. */
function Proposed({ one }) {
  const [naming, setNaming] = useState(false);
  const [busy, change] = useChange();
  const name = async (label) => {
    setNaming(false);
    await change(() => move(one.items, label), moved);
  };
  return html`
    <li class="task"><div class="small-pictures">${one.items.slice(0, 6).map((item) => html`<${Thumbnail} key=${item} item=${item} label=${t("class.photo", { id: item })} />`)}</div>
      <p>${t("todo.alike", { n: one.pictures })}</p>
      <div class="row"><button class="primary" disabled=${busy} onClick=${() => setNaming(true)}>${t("todo.name")}</button></div>
      ${naming && html`<${Naming} title=${t("naming.new")} isNew choose=${name} close=${() => setNaming(false)} />`}</li>`;
}
