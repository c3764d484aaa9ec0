/** The answer about one photo: what it is, how sure that is, who says so; and what the reader says. */

import { undo } from "../api.js";
import { html, useContext, useEffect, useRef, useState } from "../html.js";
import { Boxed } from "../parts/boxed.js";
import { Icon } from "../parts/icons.js";
import { Naming } from "../parts/naming.js";
import { Thumbnail } from "../parts/picture.js";
import { Bar } from "../parts/bar.js";
import { Shared, useChange, worded } from "../parts/shared.js";
import { number, percent, t } from "../words.js";
import { again, say, unsay } from "./asked.js";

/** A verdict as a word on a coloured ground. */
export const Verdict = ({ verdict }) => html`<span class="verdict ${verdict}">${t(`verdict.${verdict}`)}</span>`;

export function Answer({ photo, next }) {
  const { prediction, neighbours, state, error } = photo;
  return html`
    <article class="answer" aria-busy=${state === "waiting" || state === "asking"}>
      <${Boxed} address=${photo.address} name=${photo.name} box=${photo.box} change=${(box) => again(photo.id, box)} />
      <div class="says" aria-live="polite">
        ${state === "refused" && html`<div class="refused"><h2>${t("ask.refused")}</h2><p>${worded(error)}</p>
          <button onClick=${() => again(photo.id)}>${t("again")}</button></div>`}
        ${state !== "refused" && !prediction && html`<div class="wait"><span class="sr">${t("ask.waiting")}</span></div>`}
        ${state !== "refused" && prediction && html`
          <${Said} photo=${photo} />
          <${Deeds} photo=${photo} next=${next} />
          <${Witnesses} prediction=${prediction} />`}
      </div>
      ${state !== "refused" && neighbours?.length > 0 && html`
        <section class="near"><h3>${t("near.title")}</h3>
          <ul class="strip">${neighbours.map((one) => html`
            <li key=${one.item}><a href=${`#/classes/${encodeURIComponent(one.label)}`}>
              <${Thumbnail} item=${one.item} /><b>${one.label}</b>
              <small title=${t("near.score")}>${number(one.score, 2)}</small></a></li>`)}
          </ul></section>`}
    </article>`;
}

/** The answer in a sentence, and how sure it is in another. */
function Said({ photo: { prediction, said } }) {
  const { label, verdict, probability, candidates, evidence, precision, surer } = prediction;
  const others = candidates.map((one) => one.label).filter((one) => one !== label);
  const names = { label, other: others[0] };
  const heading = verdict === "unknown" || (verdict !== "match" && others.length) ? t(`says.${verdict}`, names) : t("says.is", names);
  return html`
    <div class="headline">
      <${Verdict} verdict=${verdict} />
      <h2>${said ? t("says.is", { label: said.label }) : heading}</h2>
      <p>${said ? t(`said.${said.outcome}`, said) : why(verdict, probability, precision, evidence, label)}</p>
      ${!said && surer.length > 0 && html`<p class="hint">${t("says.surer", { labels: surer.join(", ") })}</p>`}
    </div>`;
}

function why(verdict, probability, precision, evidence, label) {
  if (verdict === "match") return t("why.match", { share: percent(precision) });
  if (verdict === "unknown") return t("why.unknown", { label });
  if (probability === null) return t("why.nothing");
  if (probability >= precision) return t("why.few", { label });
  return t(evidence === "made up" ? "why.made" : "why.sure", { share: percent(probability), label });
}

/** What the reader says: right, wrong, or something new. */
function Deeds({ photo, next }) {
  const { note } = useContext(Shared);
  const [busy, change] = useChange();
  const [naming, setNaming] = useState(null); // wrong or new
  const { prediction, said } = photo;
  const mine = useRef(true);
  useEffect(() => () => { mine.current = false; }, []);
  const tell = async (label) => {
    setNaming(null);
    const told = await change(() => say(photo.id, label));
    if (told) {
      note({ text: t(`said.${told.outcome}`, told), undo: null });
      if (mine.current) next();
    }
  };
  if (said) {
    const back = () => change(async () => { await undo(said.event); unsay(photo.id); return {}; }, () => t("undone"));
    return html`<div class="row"><button data-key="u" disabled=${busy} onClick=${back}><${Icon} name="undo" />${t("undo")}</button>
      <button class="quiet" onClick=${() => again(photo.id)}>${t("again")}</button></div>`;
  }
  const names = [...prediction.candidates, ...prediction.centroid].map((one) => one.label);
  const doubtful = prediction.verdict === "ambiguous" || prediction.verdict === "disagree";
  const likely = doubtful ? prediction.candidates.map((one) => one.label).slice(0, 4) : [];
  return html`
    <div class="row deeds">
      ${likely.length > 1
        ? likely.map((one, place) => html`<button key=${one} class=${place ? "" : "primary"} data-key=${place ? String(place + 1) : "Enter"}
            disabled=${busy} onClick=${() => tell(one)}><${Icon} name="right" />${t("deed.is", { label: one })}</button>`)
        : prediction.label !== null && html`<button class=${prediction.verdict === "match" ? "primary" : ""} data-key="Enter" disabled=${busy}
            onClick=${() => tell(prediction.label)}><${Icon} name="right" />${t("deed.right", { label: prediction.label })}</button>`}
      <button data-key="w" disabled=${busy} onClick=${() => setNaming("wrong")}><${Icon} name="wrong" />${t("deed.wrong")}</button>
      <button data-key="n" class=${prediction.verdict === "unknown" ? "primary" : ""} disabled=${busy} onClick=${() => setNaming("new")}><${Icon} name="plus" />${t("deed.new")}</button>
    </div>
    ${naming && html`<${Naming} title=${t(`naming.${naming}`)} close=${() => setNaming(null)} choose=${tell} isNew=${naming === "new"}
      first=${naming === "new" ? [] : [...new Set(names)].filter((one) => one !== prediction.label)} />`}`;
}

/** The predictors side by side. */
function Witnesses({ prediction }) {
  const columns = ["head", "centroid", "neighbours"].filter((one) => prediction[one].length);
  if (!columns.length) return null;
  return html`
    <section class="witnesses" aria-label=${t("witness.title")}>
      ${columns.map((one) => html`
        <div key=${one}><h3>${t(`witness.${one}`)}</h3>
          <ol>${prediction[one].slice(0, 4).map((candidate) => html`
            <li key=${candidate.label} class=${candidate.label === prediction.label ? "chosen" : ""}>
              <span class="name">${candidate.label}</span><span class="value">${number(candidate.score, 2)}</span>
              <${Bar} share=${candidate.score} /></li>`)}</ol></div>`)}
      <p class="hint">${t(prediction.agree ? "witness.agree" : "witness.differ")}</p>
    </section>`;
}
