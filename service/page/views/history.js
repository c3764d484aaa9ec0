/** What was done, the latest first, and the way back. */

import { read } from "../api.js";
import { html, useState } from "../html.js";
import { Sure } from "../parts/dialog.js";
import { Icon } from "../parts/icons.js";
import { useLoaded, useUndo, worded } from "../parts/shared.js";
import { kind, t, when } from "../words.js";

const PAGE = 100;
const FINAL = ["compact", "remove-compacted", "forget", "drop-embedder"];

export function History() {
  const [last, setLast] = useState(PAGE);
  const { value, error } = useLoaded(() => read("v1/history", { last }), [last]);
  const [asking, setAsking] = useState(null);
  const [busy, undo] = useUndo();
  if (error) return html`<h1>${t("way.history")}</h1><p class="trouble">${worded(error)}</p>`;
  const commands = grouped(value?.events ?? []);
  const latest = commands.find((one) => one.kind !== "undo" && !one.undone);
  const next = latest && !FINAL.includes(latest.kind) ? latest : null;
  return html`
    <h1>${t("way.history")}</h1>
    ${value && !commands.length && html`<p class="nothing">${t("history.none")}</p>`}
    <ol class="history">${commands.map((one) => html`
      <li key=${one.id} class=${one.undone ? "undone" : ""}>
        <span class="what">${told(one, commands)}${one.undone && html` <em>${t("history.undone")}</em>`}</span>
        <time datetime=${one.at} title=${new Date(one.at).toLocaleString()}>${when(one.at)}</time>
        ${one === next && html`<button disabled=${busy} onClick=${() => setAsking(one)}><${Icon} name="undo" />${t("undo")}</button>`}
      </li>`)}</ol>
    ${value?.events.length === last && html`<div class="row center"><button onClick=${() => setLast(last + PAGE)}>${t("more")}</button></div>`}
    ${asking && html`<${Sure} title=${t("undo")} text=${told(asking, commands)} yes=${t("undo")} busy=${busy} close=${() => setAsking(null)}
      act=${() => { setAsking(null); undo(asking.command); }} />`}`;
}

/** The events of each command as one entry, the latest first. */
function grouped(events) {
  const commands = new Map();
  for (const event of events) {
    const before = commands.get(event.command);
    if (before) before.events.push(event);
    else commands.set(event.command, { ...event, events: [event], undone: event.undone_by !== null });
  }
  return [...commands.values()].reverse();
}

/** What a command did, in a sentence. */
function told({ kind: word, detail, events }, commands) {
  if (word === "undo") {
    const back = commands.find((one) => one.id === detail.command);
    return back ? t("event.undo.of", { what: told(back, commands) }) : t("event.undo");
  }
  const sum = (name) => events.reduce((total, one) => total + (one.detail[name] ?? 0), 0);
  const labels = [...new Set(events.map((one) => one.detail.label).filter(Boolean))];
  const values = {
    ...detail, n: sum("added") || sum("moved") || sum("items"), label: labels.slice(0, 3).join(", ") + (labels.length > 3 ? " …" : ""),
    training: detail.training ?? "", before: detail.before ?? "", labels: (detail.labels ?? []).join(", "),
  };
  return kind("event", word) === word ? word : t(`event.${word}`, values);
}
