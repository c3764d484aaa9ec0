/** A question that has to be answered before anything else goes on. */

import { html, useLayoutEffect, useRef } from "../html.js";
import { t } from "../words.js";
import { Icon } from "./icons.js";

let count = 0;

/** A dialog that is open; without `close` it can only be answered. */
export function Dialog({ title, close, children, wide = false }) {
  const dialog = useRef(null);
  const name = useRef(`dialog-${(count += 1)}`);
  const began = useRef(null); // where the pointer went down: a selection may end outside
  const escape = (event) => {
    if (event.key !== "Escape") return;
    event.preventDefault(); // the browser would close it by itself, if it is pressed twice
    event.stopPropagation();
    close?.();
  };
  useLayoutEffect(() => { // before another key comes
    dialog.current.showModal();
    dialog.current.querySelector("[autofocus]")?.focus();
    return () => dialog.current?.close();
  }, []);
  return html`
    <dialog ref=${dialog} class=${wide ? "wide" : ""} aria-labelledby=${name.current}
      onKeyDown=${escape} onCancel=${(event) => event.preventDefault()} onClose=${() => !close && dialog.current?.isConnected && dialog.current.showModal()}
      onPointerDown=${(event) => { began.current = event.target; }}
      onClick=${(event) => event.target === dialog.current && began.current === dialog.current && close?.()}>
      <div class="sheet">
        <header><h2 id=${name.current}>${title}</h2>
          ${close && html`<button class="quiet round" aria-label=${t("close")} onClick=${close}><${Icon} name="wrong" /></button>`}
        </header>
        ${children}
      </div>
    </dialog>`;
}

/** Ask whether something that cannot easily be seen is meant. */
export const Sure = ({ title, text, yes, act, close, busy }) => html`
  <${Dialog} title=${title} close=${close}>
    <p>${text}</p>
    <div class="row end">
      <button onClick=${close} autofocus>${t("cancel")}</button>
      <button class="danger" disabled=${busy} onClick=${act}>${yes}</button>
    </div>
  <//>`;
