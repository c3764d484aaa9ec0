/** What the page is written with: elements as tagged templates, which escape whatever they are given. */

import { h } from "./vendor/preact.js";
import htm from "./vendor/htm.js";

export { Component, createContext, render } from "./vendor/preact.js";
export {
  useCallback, useContext, useEffect, useLayoutEffect, useReducer, useRef, useState,
} from "./vendor/hooks.js";

export const html = htm.bind(h);
