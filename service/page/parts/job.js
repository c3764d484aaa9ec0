/** Jobs: begun over a folder, followed, and stopped. */

import { follow, read, write } from "../api.js";
import { html, useEffect, useState } from "../html.js";
import { kind, lasting, number, percent, t, when } from "../words.js";
import { Icon } from "./icons.js";
import { useChange } from "./shared.js";

/** Whether a job waits, or is being done. */
export const isGoing = (job) => job.state === "waiting" || job.state === "running";

/** Begin a job over a folder, or a list, on the service's computer. */
export function Begin({ begun, kinds, folders }) {
  const [of, setOf] = useState(kinds[0]);
  const [source, setSource] = useState("");
  const [remove, setRemove] = useState(false);
  const [busy, change] = useChange();
  const begin = async (event) => {
    event.preventDefault();
    const more = of === "sync" ? { delete: remove } : {};
    if (await change(() => write("POST", "v1/jobs", {}, { kind: of, source: source.trim(), ...more }), () => t("jobs.begun"))) begun();
  };
  if (folders?.length === 0) return html`<p class="begin hint">${t("jobs.no.folders")}</p>`;
  return html`
    <form class="begin" onSubmit=${begin}>
      ${kinds.length > 1 && html`<label class="field"><span>${t("jobs.kind")}</span>
        <select value=${of} onChange=${(event) => setOf(event.target.value)}>${kinds.map((one) => html`<option value=${one}>${t(`job.${one}`)}</option>`)}</select></label>`}
      <label class="field wide"><span>${t("jobs.source")}</span>
        <input value=${source} required spellcheck="false" autocomplete="off" placeholder=${folders?.[0]} list="folders" onInput=${(event) => setSource(event.target.value)} /></label>
      <datalist id="folders">${folders?.map((one) => html`<option value=${one}></option>`)}</datalist>
      <button class="primary" disabled=${busy}>${t("jobs.begin")}</button>
      ${of === "sync" && html`<label class="check"><input type="checkbox" checked=${remove} onChange=${(event) => setRemove(event.target.checked)} /><span>${t("jobs.delete")}</span></label>`}
      <p class="hint">${t(`jobs.why.${of}`)}</p>
    </form>`;
}

/** One job, followed while it goes on. */
export function Job({ first, begun }) {
  const [job, setJob] = useState(first);
  const [failures, setFailures] = useState(null);
  const [busy, change] = useChange();
  useEffect(() => setJob(first), [first.state, first.done]);
  useEffect(() => {
    if (!isGoing(first)) return undefined;
    const ends = new AbortController();
    follow(first.id, (now) => { setJob(now); if (!isGoing(now)) begun(); }, ends.signal);
    return () => ends.abort();
  }, [first.id, isGoing(first)]);
  const stop = () => change(() => write("POST", `v1/jobs/${job.id}/cancel`), () => t("jobs.stopping"));
  const resume = async () => { if (await change(() => write("POST", `v1/jobs/${job.id}/resume`), () => t("jobs.begun"))) begun(); };
  const show = async () => setFailures((await read(`v1/jobs/${job.id}/failures`)).failures);
  return html`
    <li class="job ${job.state}">
      <div class="row spread"><h2>${kind("job", job.kind)} <small>${job.request.source ?? ""}</small></h2><span class="state ${job.state}">${kind("state", job.state)}</span></div>
      ${isGoing(job) && html`<${Progress} job=${job} />`}
      ${job.outcome && html`<p>${outcome(job.outcome)}</p>`}
      <div class="row spread"><time datetime=${job.began} class="hint">${when(job.began)}</time>
        <div class="row">
          ${job.failures > 0 && html`<button class="quiet" onClick=${show}>${t("jobs.failures", { n: job.failures })}</button>`}
          ${isGoing(job) && html`<button disabled=${busy} onClick=${stop}><${Icon} name="wrong" />${t("jobs.stop")}</button>`}
          ${["failed", "cancelled", "died"].includes(job.state) && html`<button disabled=${busy} onClick=${resume}>${t("jobs.resume")}</button>`}
        </div></div>
      ${failures && html`<ul class="failures">${failures.slice(0, 200).map((one, place) => html`<li key=${place}><code>${one.place ?? ""}</code> ${one.detail}</li>`)}</ul>`}
    </li>`;
}

function Progress({ job }) {
  const known = job.total !== null && job.total > 0;
  const left = job.left === null ? "" : t("jobs.left", { time: lasting(job.left) });
  return html`
    <progress aria-label=${t("jobs.progress")} max=${known ? job.total : null} value=${known ? job.done : null}></progress>
    <p class="hint" role="status">${known ? t("jobs.of", { n: job.done, of: job.total }) : number(job.done)} ${left}</p>`;
}

/** How a job ended: the error, or what was counted. */
function outcome(found) {
  if (found.error) return found.error;
  return Object.entries(found).filter(([, value]) => typeof value === "number" && value)
    .map(([name, value]) => `${kind("outcome", name)}: ${name === "top1" ? percent(value, 1) : number(value)}`).join(", ");
}
