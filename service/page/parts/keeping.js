/** Whether photos that nobody knows are kept, so that classes can be made of them. */

import { html, useState } from "../html.js";
import * as kept from "../kept.js";
import { t } from "../words.js";

const NAME = "keep unknown";

export const keepsUnknown = () => kept.get(NAME) === "yes";

export function KeepUnknown() {
  const [on, setOn] = useState(keepsUnknown);
  const turn = (event) => {
    kept.set(NAME, event.target.checked ? "yes" : "no");
    setOn(event.target.checked);
  };
  return html`
    <div class="keeping"><label class="check"><input type="checkbox" checked=${on} onChange=${turn} /><span>${t("keep")}</span></label>
      <p class="hint">${t("keep.why")}</p></div>`;
}
