/** How often the catalogue is right: evaluations, and how that grew. */

import { read } from "../api.js";
import { html, useEffect, useState } from "../html.js";
import { Bar } from "../parts/bar.js";
import { Begin, Job, isGoing } from "../parts/job.js";
import { Thumbnail } from "../parts/picture.js";
import { toClass, useLoaded, worded } from "../parts/shared.js";
import { Verdict } from "../parts/verdict.js";
import { number, percent, t, when } from "../words.js";

const SHOWN = 24;

export function Accuracy() {
  const { value, error, reload } = useLoaded(async () => {
    const { jobs, folders } = await read("v1/jobs");
    const own = jobs.filter((one) => one.kind === "evaluate").reverse();
    return { folders, going: own.filter(isGoing), done: own.filter((one) => one.state === "done") };
  });
  const [looked, setLooked] = useState(null);
  const [lost, setLost] = useState([]); // those that were not done by a service have no result
  const shown = looked ?? value?.done.find((one) => !lost.includes(one.id))?.id ?? null;
  return html`
    <h1>${t("way.accuracy")}</h1>
    <p>${t("accuracy.how")}</p>
    <${Begin} begun=${reload} kinds=${["evaluate"]} folders=${value?.folders} />
    ${error && html`<p class="trouble">${worded(error)}</p>`}
    <ul class="jobs">${value?.going.map((one) => html`<${Job} key=${one.id} first=${one} begun=${reload} />`)}</ul>
    ${value?.done.length > 1 && html`<${Growth} done=${value.done} shown=${shown} look=${setLooked} />`}
    ${shown !== null && html`<${Result} key=${shown} job=${shown} lose=${looked === null ? () => setLost([...lost, shown]) : null} />`}
    ${value && !value.done.length && !value.going.length && html`<p class="nothing">${t("accuracy.none")}</p>`}`;
}

/** The evaluations one after another: how often they were right. */
function Growth({ done, shown, look }) {
  return html`
    <section><h2>${t("accuracy.growth")}</h2>
      <ol class="growth">${[...done].reverse().slice(-20).map((one) => html`
        <li key=${one.id}><button class="quiet" aria-pressed=${one.id === shown} onClick=${() => look(one.id)} title=${one.request.source}>
          <span class="column" style=${{ height: `${Math.round(100 * (one.outcome.top1 ?? 0))}px` }}></span>
          <b>${percent(one.outcome.top1 ?? 0, 1)}</b><small>${when(one.began)}</small><small>${lastPart(one.request.source)}</small></button></li>`)}</ol></section>`;
}

/** The name of a folder or file, of its path. */
const lastPart = (path) => String(path ?? "").split("/").filter(Boolean).at(-1) ?? "";

function Result({ job, lose }) {
  const { value, error } = useLoaded(() => read(`v1/jobs/${job}/result`), [job]);
  useEffect(() => { if (error?.kind === "no-result") lose?.(); }, [error]);
  const [most, setMost] = useState(SHOWN);
  if (error) return html`<p class="hint">${worded(error)}</p>`;
  if (!value) return html`<div class="wait tall"></div>`;
  const { cross_check: check, per_class: classes, confusions, mistakes } = value;
  const others = Object.entries(value.not_in_catalogue);
  const weak = [...classes].sort((one, other) => one.cross_check_top1 - other.cross_check_top1).filter((one) => one.cross_check_top1 < 1).slice(0, 10);
  return html`
    <section class="result">
      <div class="figures">
        <div class="figure"><b>${percent(check.top1, 1)}</b><span>${t("accuracy.right", { n: value.pictures })}</span></div>
        <div class="figure"><b>${percent(check.top5, 1)}</b><span>${t("accuracy.five")}</span></div>
        ${["head", "centroid", "neighbours"].filter((one) => value[one]).map((one) => html`
          <div class="figure small" key=${one}><b>${percent(value[one].top1, 1)}</b><span>${t(`witness.${one}`)}</span></div>`)}
      </div>
      ${value.in_catalogue > 0 && html`<p class="trouble">${t("accuracy.learnt", { n: value.in_catalogue })}</p>`}
      ${others.length > 0 && html`<p class="hint">${t("accuracy.others", {
        n: others.reduce((sum, [, n]) => sum + n, 0), labels: others.slice(0, 5).map(([label]) => label).join(", ") + (others.length > 5 ? " …" : "") })}</p>`}
      <div class="scrolls" tabindex="0" role="region" aria-label=${t("accuracy.verdicts")}><table><caption>${t("accuracy.verdicts")}</caption>
        <thead><tr><th scope="col">${t("accuracy.verdict")}</th><th scope="col">${t("accuracy.share")}</th><th scope="col">${t("accuracy.correct")}</th></tr></thead>
        <tbody>${check.verdicts.map((one) => html`<tr key=${one.verdict}><th scope="row"><${Verdict} of=${{ verdict: one.verdict, probability: 1 }} /></th>
          <td>${percent(one.pictures / value.pictures, 1)}</td><td>${one.pictures ? percent(one.right / one.pictures, 1) : "–"}</td></tr>`)}</tbody></table></div>
      ${weak.length > 0 && html`<h2>${t("accuracy.weak")}</h2><ul class="bars">${weak.map((one) => html`
        <li key=${one.label}><a href=${toClass(one.label)}>${one.label}</a> <${Bar} share=${one.cross_check_top1} /> ${percent(one.cross_check_top1)} <small>${t("n.photos", { n: one.pictures })}</small></li>`)}</ul>`}
      ${confusions.length > 0 && html`<h2>${t("accuracy.confusions")}</h2><ul class="plain">${confusions.slice(0, 10).map((one) => html`
        <li key=${one.truth + one.predicted}>${t("accuracy.taken", { truth: one.truth, predicted: one.predicted, n: one.pictures })}</li>`)}</ul>`}
      ${mistakes.length > 0 && html`<h2>${t("accuracy.mistakes", { n: mistakes.length })}</h2><ul class="tasks">${mistakes.slice(0, most).map((one, place) => html`
        <li key=${place} class="task">${one.nearest_item !== null && html`<figure><${Thumbnail} item=${one.nearest_item} /><figcaption>${t("accuracy.nearest")}</figcaption></figure>`}
          <p>${t("accuracy.mistake", { truth: one.truth, predicted: one.predicted })} <${Verdict} of=${one} />
            ${one.probability !== null && html` <small>${number(one.probability, 2)}</small>`}<br /><code>${one.place ?? ""}</code></p></li>`)}</ul>
        ${mistakes.length > most && html`<button class="quiet" onClick=${() => setMost(most + 4 * SHOWN)}>${t("more")}</button>`}`}
    </section>`;
}
