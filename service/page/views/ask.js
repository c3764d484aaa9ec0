/** Which of our things is this? Photos are brought here, and answered. */

import { read } from "../api.js";
import { html, useContext, useEffect, useRef } from "../html.js";
import { Buttons, useDropped } from "../parts/bring.js";
import { Icon } from "../parts/icons.js";
import { Shared, useChange, useLoaded } from "../parts/shared.js";
import { Verdict } from "../parts/verdict.js";
import { t } from "../words.js";
import { Answer } from "./answer.js";
import { add, clear, saidLast, unsay, usePhotos, useSelected } from "./asked.js";

export function Ask() {
  const photos = usePhotos();
  const [selected, select] = useSelected(photos);
  const { note } = useContext(Shared);
  const there = useLoaded(() => read("v1/classes", { limit: 1 }));
  const isEmpty = there.value?.total === 0 && photos.length === 0;
  const take = (files) => {
    if (isEmpty || !files.length) return;
    const { first, over } = add(files);
    if (first) select(first);
    if (over) note({ text: t("ask.over", { n: over }), bad: true });
  };
  const over = useDropped(take);
  useEffect(() => { if (isEmpty) location.replace("#/start"); }, [isEmpty]);
  if (!photos.length) return html`<${Empty} take=${take} over=${over} />`;
  return html`
    <h1 class="sr">${t("way.ask")}</h1>
    <div class="row spread bringing ${over ? "over" : ""}">
      <div class="row"><${Buttons} take=${take} /></div>
      <button class="quiet" onClick=${() => clear()}><${Icon} name="wrong" /><span>${t("ask.clear", { n: photos.length })}</span></button>
    </div>
    <div class=${photos.length > 1 ? "asking many" : "asking"}>
      ${photos.length > 1 && html`<${List} photos=${photos} selected=${selected} select=${select} />`}
      <${Answer} key=${selected.id} photo=${selected} next=${() => select(after(photos, selected))} />
    </div>`;
}

/** The photo to look at when one is done: the next of which nothing was said, or the same. */
function after(photos, one) {
  const place = photos.findIndex((photo) => photo.id === one.id);
  const open = [...photos.slice(place + 1), ...photos.slice(0, place)].find((photo) => !photo.said && photo.state !== "refused");
  return (open ?? one).id;
}

const Empty = ({ take, over }) => html`
  <section class="hero ${over ? "over" : ""}">
    <div class="lens" aria-hidden="true"><${Icon} name="ask" /></div>
    <h1>${t("ask.title")}</h1>
    <p>${t("ask.how")}</p>
    <div class="row center"><${Buttons} take=${take} primary /></div>
  </section>`;

/** The photos, to be worked through by keys: up and down, and what the answer's buttons do. */
function List({ photos, selected, select }) {
  const list = useRef(null);
  const [, change] = useChange();
  const undo = (id) => change(() => unsay(id), () => t("undone"));
  const pick = (id) => {
    select(id);
    if (matchMedia("(max-width: 820px)").matches) document.querySelector(".answer")?.scrollIntoView({ behavior: "smooth" });
    else list.current.focus();
  };
  useEffect(() => { if (document.activeElement === document.body) list.current.focus({ preventScroll: true }); }, []);
  const done = photos.filter((one) => one.said).length;
  const answered = photos.filter((one) => one.state === "answered" || one.state === "refused").length;
  useEffect(() => {
    list.current.querySelector('[aria-selected="true"]')?.scrollIntoView({ block: "nearest" });
  }, [selected.id]);
  const key = (event) => {
    if (event.ctrlKey || event.metaKey || event.altKey || event.isComposing) return;
    const place = photos.findIndex((one) => one.id === selected.id);
    const to = { ArrowDown: place + 1, ArrowUp: place - 1, Home: 0, End: photos.length - 1 }[event.key];
    if (to !== undefined) {
      event.preventDefault();
      select(photos[Math.min(photos.length - 1, Math.max(0, to))].id);
      return;
    }
    if (event.repeat) return; // a key that is held down says nothing again
    if (event.key === "u" && saidLast()) {
      event.preventDefault();
      const last = saidLast();
      select(last.id);
      undo(last.id);
      return;
    }
    const pressed = document.querySelector(`[data-key="${CSS.escape(event.key)}"]:not(:disabled)`);
    if (pressed) {
      event.preventDefault();
      pressed.click();
    }
  };
  return html`
    <section class="list">
      <p class="progress" role="status">${t("ask.progress", { n: answered, of: photos.length, done })}</p>
      <ul ref=${list} role="listbox" tabindex="0" aria-label=${t("ask.list")} aria-activedescendant=${`photo-${selected.id}`} onKeyDown=${key}>
        ${photos.map((one) => html`
          <li key=${one.id} id=${`photo-${one.id}`} role="option" aria-selected=${one.id === selected.id} onClick=${() => pick(one.id)}>
            <span class="thumb">${one.small && html`<img src=${one.small} alt="" />`}</span>
            <span class="what"><b>${line(one)}</b><small>${one.name}</small></span>
            ${one.said ? html`<span class="tick"><${Icon} name="right" /><span class="sr">${t("ask.said")}</span></span>`
              : one.prediction && html`<${Verdict} of=${one.prediction} />`}
          </li>`)}
      </ul>
      <p class="hint keys">${t("ask.keys")}</p>
    </section>`;
}

function line(one) {
  if (one.said) return one.said.label;
  if (one.state === "refused") return t("ask.refused");
  if (one.state !== "answered") return t("ask.waiting");
  return one.prediction.verdict === "unknown" ? t("says.unknown") : one.prediction.label;
}
