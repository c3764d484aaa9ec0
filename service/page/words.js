/** The words of the page, in the reader's language; `words/` has a file for each. */

import * as kept from "./kept.js";

export const LANGUAGES = { en: "English", de: "Deutsch" };

let words = {};
let plural = new Intl.PluralRules("en");
let language = "en";

/** Load the words of the language that was chosen, or that the browser asks for. */
export async function loadWords() {
  const wanted = [kept.get("language"), ...navigator.languages.map((one) => one.slice(0, 2))];
  language = wanted.find((one) => one in LANGUAGES) ?? "en";
  words = await (await fetch(`page/words/${language}.json`)).json();
  plural = new Intl.PluralRules(language);
  document.documentElement.lang = language;
  document.title = t("name");
}

/** The language in use, by its code. */
export const inUse = () => language;

/** Take another language from now on; the page is loaded anew. */
export function useLanguage(code) {
  kept.set("language", code);
  location.reload();
}

/**
 * A sentence by its key, with values in their places.
 *
 * @param {string} key as in the files of words.
 * @param {Object} values by the names that stand in braces; `n` chooses between one and other.
 */
export function t(key, values = {}) {
  let found = words[key];
  if (found === undefined) return key;
  if (typeof found !== "string") found = found[plural.select(values.n)] ?? found.other;
  return found.replace(/\{(\w+)\}/g, (_, name) => said(values[name]));
}

/** A kind of thing that the service names by a word, in words; the word itself where there are none. */
export const kind = (prefix, word) => (`${prefix}.${word}` in words ? t(`${prefix}.${word}`) : word);

/** Whether there are words for a key. */
export const has = (key) => key in words;

const FROM_THE_RIGHT = /[\u0590-\u08ff\ufb1d-\ufdff\ufe70-\ufefc]/;

function said(value) {
  if (typeof value === "number") return number(value);
  return FROM_THE_RIGHT.test(value) ? `\u2068${value}\u2069` : value ?? ""; // a name of its own direction
}

/** A number as the language writes it. */
export const number = (value, digits = 0) =>
  value.toLocaleString(language, { minimumFractionDigits: digits, maximumFractionDigits: digits });

/** A share as a percentage. */
export const percent = (share, digits = 0) =>
  share.toLocaleString(language, { style: "percent", minimumFractionDigits: digits, maximumFractionDigits: digits });

/** When something was, as long ago as that is easy to grasp. */
export function when(iso) {
  const time = new Date(iso);
  const seconds = (time - Date.now()) / 1000;
  const relative = new Intl.RelativeTimeFormat(language, { numeric: "auto" });
  if (seconds > -60) return relative.format(Math.min(0, Math.round(seconds)), "second");
  if (seconds > -3600) return relative.format(Math.round(seconds / 60), "minute");
  if (seconds > -86400) return relative.format(Math.round(seconds / 3600), "hour");
  return time.toLocaleDateString(language, { year: "numeric", month: "short", day: "numeric" });
}

/** So many seconds, in minutes and hours where there are any. */
export function lasting(seconds) {
  const parts = [[3600, "hour"], [60, "minute"], [1, "second"]];
  const [size, unit] = parts.find(([size]) => seconds >= size) ?? parts[2];
  const format = { style: "unit", unit, unitDisplay: "long" };
  return Math.round(seconds / size).toLocaleString(language, format);
}
