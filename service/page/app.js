/** The page: where one is in it, what every part of it shares, and the frame round it all. */

import * as api from "./api.js";
import { html, render, useCallback, useEffect, useState } from "./html.js";
import { Frame } from "./parts/frame.js";
import { Shared } from "./parts/shared.js";
import { loadWords } from "./words.js";
import { Accuracy } from "./views/accuracy.js";
import { Ask } from "./views/ask.js";
import { Class } from "./views/class.js";
import { Classes } from "./views/classes.js";
import { History } from "./views/history.js";
import { Jobs } from "./views/jobs.js";
import { Start } from "./views/start.js";
import { ToDo } from "./views/todo.js";

const VIEWS = { ask: Ask, start: Start, classes: Classes, todo: ToDo, accuracy: Accuracy, history: History, jobs: Jobs };

/** The name of the view in the address, and what is behind it. */
function place() {
  const [, name = "", rest = ""] = /^#\/(\w*)\/?(.*)$/.exec(location.hash) ?? [];
  return { name: Object.hasOwn(VIEWS, name) ? name : "ask", rest: decoded(rest) };
}

function decoded(text) {
  try {
    return decodeURIComponent(text);
  } catch {
    return text; // typed by hand
  }
}

/** A photo that is dropped beside where it is wanted does not take the page's place. */
const stay = (event) => event.preventDefault();

function Page() {
  const [here, setHere] = useState(place);
  const [changes, setChanges] = useState(0);
  const [notes, setNotes] = useState([]);
  const [lost, setLost] = useState(false);
  const [wanted, setWanted] = useState(null); // who waits for a key

  const note = useCallback((said) => {
    const id = Math.random();
    // Only the latest can be taken back by itself.
    const older = (before) => before.slice(-2).map((one) => (said.bad ? one : { ...one, undo: null }));
    setNotes((before) => [...older(before), { id, ...said }]);
    setTimeout(() => setNotes((before) => before.filter((one) => one.id !== id)), said.undo ? 12000 : 6000);
  }, []);

  const put = useCallback((id) => setNotes((before) => before.filter((one) => one.id !== id)), []);

  useEffect(() => {
    const moved = () => setHere((before) => {
      const now = place();
      return now.name === before.name && now.rest === before.rest ? before : now;
    });
    const seen = () => document.visibilityState === "visible" && setChanges((before) => before + 1);
    addEventListener("hashchange", moved);
    moved(); // it may have happened before anyone listened
    addEventListener("dragover", stay);
    addEventListener("drop", stay);
    document.addEventListener("visibilitychange", seen); // others may have changed something meanwhile
    api.on("changed", () => setChanges((before) => before + 1));
    api.on("connection", setLost);
    api.on("key", (isBad) => new Promise((given) => {
      setWanted((before) => ({ isBad, waiting: [...(before?.waiting ?? []), given] }));
    }));
    return () => {
      removeEventListener("hashchange", moved);
      removeEventListener("dragover", stay);
      removeEventListener("drop", stay);
      document.removeEventListener("visibilitychange", seen);
    };
  }, []);

  const unlock = (key) => {
    api.useKey(key);
    wanted.waiting.forEach((go) => go());
    setWanted(null);
  };
  const View = here.name === "classes" && here.rest ? Class : VIEWS[here.name];
  return html`
    <${Shared.Provider} value=${{ changes, note }}>
      <${Frame} here=${here} lost=${lost} notes=${notes} put=${put} wanted=${wanted} unlock=${unlock}>
        <${View} key=${here.name + here.rest} rest=${here.rest} />
      <//>
    <//>`;
}

await loadWords();
render(html`<${Page} />`, document.getElementById("page"));
