/** Ways to bring photos: dropped, pasted, chosen, or taken now. */

import { html, useEffect, useRef, useState } from "../html.js";
import { t } from "../words.js";
import { Dialog } from "./dialog.js";
import { Icon } from "./icons.js";

/** Buttons that choose photos or take one; `take` is given the files. */
export function Buttons({ take, primary = false }) {
  const chosen = useRef(null);
  const taken = useRef(null);
  const [filming, setFilming] = useState(false);
  const given = (event) => {
    take([...event.target.files]);
    event.target.value = "";
  };
  const shoot = () => {
    if (matchMedia("(pointer: coarse)").matches || !navigator.mediaDevices) taken.current.click();
    else setFilming(true);
  };
  return html`
    <button type="button" class=${primary ? "primary" : ""} onClick=${() => chosen.current.click()}><${Icon} name="photo" /><span>${t("bring.choose")}</span></button>
    <button type="button" onClick=${shoot}><${Icon} name="camera" /><span>${t("bring.take")}</span></button>
    <input ref=${chosen} type="file" accept="image/*,.heic,.heif,.avif,.tif,.tiff" multiple hidden onChange=${given} />
    <input ref=${taken} type="file" accept="image/*" capture="environment" hidden onChange=${given} />
    ${filming && html`<${Camera} take=${take} close=${() => setFilming(false)} />`}`;
}

/** The camera of a computer, in a dialog. */
function Camera({ take, close }) {
  const video = useRef(null);
  const [trouble, setTrouble] = useState(false);
  useEffect(() => {
    let stream = null;
    let open = true;
    navigator.mediaDevices.getUserMedia({ video: { facingMode: "environment", width: { ideal: 1920 } } }).then(
      (found) => {
        stream = found;
        if (open) video.current.srcObject = found;
        else stop(stream);
      },
      () => setTrouble(true),
    );
    return () => { open = false; stop(stream); };
  }, []);
  const shoot = async () => {
    const { videoWidth: width, videoHeight: height } = video.current;
    if (!width) return; // there is no picture yet
    const canvas = new OffscreenCanvas(width, height);
    canvas.getContext("2d").drawImage(video.current, 0, 0);
    const blob = await canvas.convertToBlob({ type: "image/jpeg", quality: 0.92 });
    close();
    take([new File([blob], `${t("bring.photo")}.jpg`, { type: "image/jpeg" })]);
  };
  return html`
    <${Dialog} title=${t("bring.take")} close=${close} wide>
      ${trouble
        ? html`<p>${t("bring.no.camera")}</p>`
        : html`<video ref=${video} autoplay muted playsinline></video>
            <div class="row end"><button class="primary" onClick=${shoot} autofocus><${Icon} name="camera" />${t("bring.shoot")}</button></div>`}
    <//>`;
}

const stop = (stream) => stream?.getTracks().forEach((track) => track.stop());

/**
 * Take photos that are dropped anywhere on the page, or pasted, as long as this is shown.
 *
 * @returns {boolean} whether something is held over the page.
 */
export function useDropped(take) {
  const [over, setOver] = useState(false);
  const latest = useRef(take);
  latest.current = take;
  useEffect(() => {
    let depth = 0;
    const has = (event) => event.dataTransfer?.types.includes("Files");
    const handlers = {
      dragenter: (event) => { if (has(event)) { depth += 1; setOver(true); } },
      dragleave: (event) => { if (has(event) && (depth -= 1) <= 0) setOver(false); },
      dragover: (event) => { if (has(event)) event.preventDefault(); },
      drop: async (event) => {
        if (!has(event)) return;
        event.preventDefault();
        depth = 0;
        setOver(false);
        latest.current(await dropped(event.dataTransfer));
      },
      paste: (event) => {
        if (document.querySelector("dialog[open]")) return; // what is pasted there belongs there
        const files = [...(event.clipboardData?.files ?? [])];
        if (files.length) latest.current(files);
      },
    };
    for (const [name, handler] of Object.entries(handlers)) addEventListener(name, handler);
    return () => { for (const [name, handler] of Object.entries(handlers)) removeEventListener(name, handler); };
  }, []);
  return over;
}

/** The files of a drop, those in folders, too. */
export async function dropped(transfer) {
  const entries = [...transfer.items].map((item) => item.webkitGetAsEntry?.()).filter(Boolean);
  if (!entries.some((entry) => entry.isDirectory)) return [...transfer.files];
  const found = [];
  for (const entry of entries) await gather(entry, found);
  return found;
}

async function gather(entry, found) {
  if (entry.isFile) {
    if (!entry.name.startsWith(".")) found.push(await new Promise((take, fail) => entry.file(take, fail)));
    return;
  }
  const reader = entry.createReader();
  for (;;) {
    const some = await new Promise((take, fail) => reader.readEntries(take, fail));
    if (!some.length) return;
    for (const one of some) await gather(one, found);
  }
}
