/** The frame of the page: the ways to its views, what has been said, and the key that may be asked for. */

import { html, useEffect, useRef, useState } from "../html.js";
import { hasKey, useKey } from "../api.js";
import * as kept from "../kept.js";
import { LANGUAGES, inUse, t, useLanguage } from "../words.js";
import { Dialog } from "./dialog.js";
import { Icon } from "./icons.js";
import { KeepUnknown } from "./keeping.js";
import { useUndo } from "./shared.js";

const WAYS = ["ask", "classes", "todo", "accuracy", "history", "jobs"];

export function Frame({ here, lost, notes, put, wanted, unlock, children }) {
  const [setting, setSetting] = useState(false);
  const main = useRef(null);
  const first = useRef(true);
  useEffect(() => {
    if (!first.current) main.current.focus({ preventScroll: true }); // a screen reader goes on in the new view
    first.current = false;
    scrollTo(0, 0);
  }, [here.name, here.rest]);
  return html`
    <a class="skip" href="#main" onClick=${(event) => { event.preventDefault(); main.current.focus(); }}>${t("skip")}</a>
    <header class="rail">
      <a class="brand" href="#/ask"><img src="page/icon.svg" alt="" width="28" height="28" /> <span>${t("name")}</span></a>
      <nav aria-label=${t("ways")}>
        ${WAYS.map((way) => html`
          <a href="#/${way}" aria-current=${here.name === way || (way === "ask" && here.name === "start") ? "page" : null}>
            <${Icon} name=${way} /><span>${t(`way.${way}`)}</span></a>`)}
      </nav>
      <button class="quiet gear" onClick=${() => setSetting(true)}><${Icon} name="settings" /><span>${t("settings")}</span></button>
    </header>
    ${lost && html`<p class="lost" role="alert">${t("lost.going")}</p>`}
    <main id="main" ref=${main} tabindex="-1">${children}</main>
    <${Notes} notes=${notes} put=${put} />
    ${setting && html`<${Settings} close=${() => setSetting(false)} />`}
    ${wanted && html`<${KeyAsked} isBad=${wanted.isBad} unlock=${unlock} />`}`;
}

function Notes({ notes, put }) {
  const [busy, undo] = useUndo();
  const list = useRef(null);
  useEffect(() => { // above a dialog that may be open
    if (!list.current.showPopover) return;
    list.current.hidePopover();
    if (notes.length) list.current.showPopover();
  }, [notes]);
  return html`
    <div class="notes" ref=${list} popover="manual" role="status" aria-live="polite">
      ${notes.map((one) => html`
        <div key=${one.id} class="note ${one.bad ? "bad" : ""}">
          <span>${one.text}</span>
          ${one.undo && html`<button disabled=${busy} onClick=${() => undo(one.undo)}><${Icon} name="undo" />${t("undo")}</button>`}
          <button class="round" aria-label=${t("close")} onClick=${() => put(one.id)}><${Icon} name="wrong" /></button>
        </div>`)}
    </div>`;
}

function Settings({ close }) {
  const [theme, setTheme] = useState(document.documentElement.dataset.theme);
  const choose = (value) => {
    document.documentElement.dataset.theme = value;
    kept.set("theme", value);
    setTheme(value);
  };
  return html`
    <${Dialog} title=${t("settings")} close=${close}>
      <label class="field"><span>${t("settings.language")}</span>
        <select value=${inUse()} onChange=${(event) => useLanguage(event.target.value)}>
          ${Object.entries(LANGUAGES).map(([code, name]) => html`<option value=${code} lang=${code}>${name}</option>`)}
        </select></label>
      <label class="field"><span>${t("settings.theme")}</span>
        <select value=${theme} onChange=${(event) => choose(event.target.value)}>
          ${["auto", "light", "dark"].map((one) => html`<option value=${one}>${t(`theme.${one}`)}</option>`)}
        </select></label>
      <${KeepUnknown} />
      ${hasKey() && html`
        <div class="field"><span>${t("settings.key")}</span>
          <button onClick=${() => { useKey(""); location.reload(); }}>${t("settings.key.forget")}</button></div>`}
      ${!hasKey() && html`<p class="hint">${t("settings.api")} <a href="v1/openapi.json">OpenAPI</a></p>`}
    <//>`;
}

function KeyAsked({ isBad, unlock }) {
  const [key, setKey] = useState("");
  return html`
    <${Dialog} title=${t("key.title")}>
      <form onSubmit=${(event) => { event.preventDefault(); if (key.trim()) unlock(key); }}>
        <p>${isBad ? t("key.bad") : t("key.why")}</p>
        <label class="field"><span>${t("key.label")}</span>
          <input type="password" name="key" autocomplete="current-password" spellcheck="false" value=${key}
            onInput=${(event) => setKey(event.target.value)} autofocus required /></label>
        <div class="row end"><button class="primary">${t("key.use")}</button></div>
      </form>
    <//>`;
}
