/** What an answer is worth, as a word on a coloured ground. */

import { html } from "../html.js";
import { t } from "../words.js";

/** Its verdict, or that it is a guess. */
function worth({ verdict, probability }) {
  const guessed = verdict === "ambiguous" && (probability === null || probability < 0.5);
  return guessed ? "guess" : verdict;
}

/** The verdict of an answer, which has a probability, or none. */
export const Verdict = ({ of }) => html`<span class="verdict ${worth(of)}">${t(`verdict.${worth(of)}`)}</span>`;
