/** Whether photos that nobody knows are kept, so that classes can be made of them. */

import { html, useState } from "../html.js";
import { t } from "../words.js";

const NAME = "keep unknown";

export const keepsUnknown = () => localStorage.getItem(NAME) === "yes";

export function KeepUnknown() {
  const [on, setOn] = useState(keepsUnknown);
  const turn = (event) => {
    localStorage.setItem(NAME, event.target.checked ? "yes" : "no");
    setOn(event.target.checked);
  };
  return html`
    <div class="keeping"><label class="check"><input type="checkbox" checked=${on} onChange=${turn} /><span>${t("keep")}</span></label>
      <p class="hint">${t("keep.why")}</p></div>`;
}
