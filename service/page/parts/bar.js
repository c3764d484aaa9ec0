/** A share as a bar, for eyes alone: the number stands beside it. */

import { html } from "../html.js";

export const Bar = ({ share }) => html`
  <span class="bar" aria-hidden="true"><span style=${{ width: `${100 * Math.min(1, Math.max(0, share))}%` }}></span></span>`;
