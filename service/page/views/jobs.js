/** Work on many pictures: how far it is, how it ended, and beginning more. */

import { read } from "../api.js";
import { html } from "../html.js";
import { Begin, Job } from "../parts/job.js";
import { useLoaded, worded } from "../parts/shared.js";
import { t } from "../words.js";

const KINDS = ["import", "sync", "evaluate"];

export function Jobs() {
  const { value, error, reload } = useLoaded(() => read("v1/jobs"));
  return html`
    <h1>${t("way.jobs")}</h1>
    <${Begin} begun=${reload} kinds=${KINDS} folders=${value?.folders} />
    ${error && html`<p class="trouble">${worded(error)}</p>`}
    ${value && !value.jobs.length && html`<p class="nothing">${t("jobs.none")}</p>`}
    <ul class="jobs">${[...(value?.jobs ?? [])].reverse().map((one) => html`<${Job} key=${one.id} first=${one} begun=${reload} />`)}</ul>`;
}
