/** The answer about one photo: what it is, how sure that is, who says so; and what the reader says. */

import { html, useState } from "../html.js";
import { Bar } from "../parts/bar.js";
import { Boxed } from "../parts/boxed.js";
import { Sure } from "../parts/dialog.js";
import { Icon } from "../parts/icons.js";
import { Naming } from "../parts/naming.js";
import { Thumbnail } from "../parts/picture.js";
import { toClass, useChange, worded } from "../parts/shared.js";
import { Verdict } from "../parts/verdict.js";
import { number, percent, t } from "../words.js";
import { again, say, saidLast, take, unsay } from "./asked.js";

const COPY = 0.9999; // how alike at least a photo and the very same one are

export function Answer({ photo, next }) {
  const { prediction, neighbours, state, error } = photo;
  return html`
    <article class="answer" aria-busy=${state === "waiting" || state === "asking"}>
      <${Boxed} address=${photo.address} name=${photo.name} box=${photo.box}
        isBad=${state === "refused"} change=${(box) => again(photo.id, box)} />
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
            <li key=${one.item}><a href=${toClass(one.label)}>
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
      ${!said && html`<${Verdict} of=${prediction} />`}
      <h2>${said ? t("says.is", { label: said.label }) : heading}</h2>
      <p>${said ? outcome(said) : why(verdict, probability, precision, evidence, label)}</p>
      ${!said && surer.length > 0 && html`<p class="hint">${t("says.surer", { n: surer.length, labels: surer.join(", ") })}</p>`}
    </div>`;
}

/** What came of what the reader said. */
function outcome(said) {
  if (said.again) return t("done.again");
  return t(said.added || said.outcome !== "confirmed" ? `said.${said.outcome}` : "said.known", said);
}

function why(verdict, probability, precision, evidence, label) {
  if (verdict === "match") return t("why.match", { share: percent(precision) });
  if (verdict === "unknown") return t("why.unknown", { label });
  if (probability === null) return t("why.nothing");
  if (probability >= precision) return t("why.few", { label, share: percent(precision) });
  return t(evidence === "made up" ? "why.made" : "why.sure", { share: percent(probability), label });
}

/** What the reader says: right, wrong, or something new. */
function Deeds({ photo, next }) {
  const [busy, change] = useChange();
  const [naming, setNaming] = useState(null); // wrong or new
  const [taking, setTaking] = useState(null); // from which class to which, if it is a photo that is known
  const { prediction, said } = photo;
  const saying = photo.saying || photo.state !== "answered"; // what is asked anew is not said of the old
  const same = photo.box ? null : photo.neighbours?.find((one) => one.score > COPY);
  const tell = (label) => {
    setNaming(null);
    if (same && same.label !== label) return setTaking({ item: same.item, from: same.label, label });
    change(() => say(photo.id, label), (told) => t(told.added ? `said.${told.outcome}` : "said.known", told));
    next(); // the next need not wait
  };
  const takeAway = () => {
    setTaking(null);
    change(() => take(photo.id, taking.item, taking.label), () => t("moved", { n: 1, label: taking.label }));
    next();
  };
  if (said) {
    const isLast = saidLast()?.id === photo.id;
    return html`<div class="row">
      ${isLast && html`<button data-key="u" disabled=${busy} onClick=${() => change(() => unsay(photo.id), () => t("undone"))}><${Icon} name="undo" />${t("undo")}</button>`}
      <button class="quiet" onClick=${() => again(photo.id)}>${t("again")}</button></div>`;
  }
  const { label, verdict, candidates, centroid } = prediction;
  const isUnknown = verdict === "unknown";
  const names = [...new Set([...candidates, ...centroid].map((one) => one.label))];
  const likely = verdict === "match" || isUnknown ? [] : candidates.map((one) => one.label).slice(0, 4);
  const isOne = likely.length < 2 && label !== null;
  return html`
    <div class="row deeds">
      ${isUnknown && html`<button data-key="n" class="primary" disabled=${saying} onClick=${() => setNaming("new")}><${Icon} name="plus" />${t("deed.new")}</button>`}
      ${isOne
        ? html`<button class=${verdict === "match" ? "primary" : ""} data-key=${isUnknown ? "" : "Enter"} disabled=${saying} onClick=${() => tell(label)}>
            <${Icon} name="right" />${t(isUnknown ? "deed.is" : "deed.right", { label })}</button>`
        : likely.map((one, place) => html`<button key=${one} data-key=${place ? String(place + 1) : "Enter"} disabled=${saying} onClick=${() => tell(one)}>
            <${Icon} name="right" />${t("deed.is", { label: one })}</button>`)}
      <button data-key="w" disabled=${saying} onClick=${() => setNaming("wrong")}><${Icon} name="wrong" />${t(isUnknown ? "deed.other" : "deed.wrong")}</button>
      ${!isUnknown && html`<button data-key="n" disabled=${saying} onClick=${() => setNaming("new")}><${Icon} name="plus" />${t("deed.new")}</button>`}
    </div>
    ${taking && html`<${Sure} title=${t("taking.title", taking)} text=${t("taking.why", taking)} yes=${t("todo.move", taking)} busy=${busy}
      close=${() => setTaking(null)} act=${takeAway} />`}
    ${naming && html`<${Naming} title=${t(`naming.${naming}`)} close=${() => setNaming(null)} choose=${tell} isNew=${naming === "new"}
      first=${naming === "new" ? [] : names.filter((one) => isUnknown || one !== label)} />`}`;
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
              <span class="name">${candidate.label}</span><span class="value">${number(Math.max(0, candidate.score), 2)}</span>
              <${Bar} share=${candidate.score} /></li>`)}</ol></div>`)}
      <p class="hint">${t(prediction.agree ? "witness.agree" : "witness.differ")}</p>
    </section>`;
}
