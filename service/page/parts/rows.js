/** A long list of which only what is seen is drawn, and only what is near it is read. */

import { html, useEffect, useLayoutEffect, useRef, useState } from "../html.js";

const PAGE = 200; // entries that are read at a time
const SPARE = 4; // rows that are drawn above and below

/**
 * @param {number} total how many entries there are.
 * @param {(offset: number, limit: number) => Promise<Array>} load reads some.
 * @param {any} of what the entries are of: with another, they are read anew.
 * @param {number} least the least width of an entry, in pixels; as many as fit stand side by side.
 * @param {number} height of a row.
 * @param {(entry: Object) => any} draw what is shown of one.
 */
export function Rows({ total, load, of, least, height, draw, label }) {
  const list = useRef(null);
  const pages = useRef(new Map());
  const [, redraw] = useState(0);
  const [seen, setSeen] = useState({ columns: 1, first: 0, last: 20 });
  useLayoutEffect(() => { pages.current = new Map(); }, [of, total]);
  useLayoutEffect(() => {
    const look = () => {
      const { top, width } = list.current.getBoundingClientRect();
      const columns = Math.max(1, Math.floor(width / least));
      const first = Math.max(0, Math.floor(-top / height) - SPARE);
      const last = Math.ceil((innerHeight - top) / height) + SPARE;
      setSeen((before) => (before.columns === columns && before.first === first && before.last === last ? before : { columns, first, last }));
    };
    look();
    addEventListener("scroll", look, { passive: true });
    const watching = new ResizeObserver(look);
    watching.observe(list.current);
    return () => { removeEventListener("scroll", look); watching.disconnect(); };
  }, []);
  const from = seen.first * seen.columns;
  const until = Math.min(total, seen.last * seen.columns);
  useEffect(() => {
    let current = true;
    const waiting = setTimeout(() => { // not for what is scrolled past
      for (let page = Math.floor(from / PAGE); page * PAGE < until; page += 1) {
        if (pages.current.has(page)) continue;
        const mine = pages.current;
        mine.set(page, []);
        load(page * PAGE, PAGE).then(
          (found) => { mine.set(page, found); if (current || mine === pages.current) redraw((number) => number + 1); },
          () => mine.delete(page),
        );
      }
    }, pages.current.size ? 60 : 0);
    return () => { current = false; clearTimeout(waiting); };
  }, [from, until, of, total]);

  const entries = [];
  for (let place = from; place < until; place += 1) {
    entries.push({ place, entry: pages.current.get(Math.floor(place / PAGE))?.[place % PAGE] });
  }
  return html`
    <ul class="rows" ref=${list} aria-label=${label} style=${{ height: `${Math.ceil(total / seen.columns) * height}px` }}>
      ${entries.map(({ place, entry }) => html`
        <li key=${place} aria-setsize=${total} aria-posinset=${place + 1} style=${{
          top: `${Math.floor(place / seen.columns) * height}px`, height: `${height}px`,
          left: `${(100 * (place % seen.columns)) / seen.columns}%`, width: `${100 / seen.columns}%`,
        }}>${entry ? draw(entry) : html`<span class="wait"></span>`}</li>`)}
    </ul>`;
}
