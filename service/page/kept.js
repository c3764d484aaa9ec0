/** What is kept in this browser; where it keeps nothing, as some do in private windows, for as long as the page is open. */

const meanwhile = new Map();

export function get(name) {
  try {
    return localStorage.getItem(name);
  } catch {
    return meanwhile.get(name) ?? null;
  }
}

export function set(name, value) {
  try {
    if (value === null) localStorage.removeItem(name);
    else localStorage.setItem(name, value);
  } catch {
    meanwhile.set(name, value);
  }
}
