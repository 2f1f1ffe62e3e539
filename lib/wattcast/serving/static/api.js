// The REST API over fetch, so that a key can be sent: JSON with its errors as sentences, and lists by their cursors.

const KEY = "wattcast-api-key";
const PAGES_AT_MOST = 20;
const PAGE_ROWS = 500;

/** What went wrong as a sentence; `status` is 0 where the server was not reached. */
export class ApiError extends Error {
  constructor(status, sentence) {
    super(sentence);
    this.status = status;
  }
}

export const key = {
  get: () => sessionStorage.getItem(KEY),
  set: (value) => sessionStorage.setItem(KEY, value),
  forget: () => sessionStorage.removeItem(KEY),
};

let askForKey = null;

/** `ask(refused)` resolves when another key was given. */
export function onUnauthorised(ask) {
  askForKey = ask;
}

export const signIn = (wasRefused) => askForKey(wasRefused);

function address(path, parameters = {}) {
  const query = new URLSearchParams();
  for (const [name, value] of Object.entries(parameters)) {
    if (value !== null && value !== undefined && value !== "") query.append(name, value);
  }
  return query.size ? `${path}?${query}` : path;
}

/** The answer to a request; where it needs a key and `ask`, a person is asked for one. */
export async function response(url, { signal, headers = {}, cache, ask = true } = {}) {
  const held = key.get();
  const authorisation = held ? { Authorization: `Bearer ${held}` } : {};
  let answer;
  try {
    answer = await fetch(url, { signal, cache, headers: { ...headers, ...authorisation } });
  } catch (error) {
    if (error.name === "AbortError") throw error;
    throw new ApiError(0, "The server cannot be reached. What you see may be old.");
  }
  if (answer.status === 401 && ask) {
    if (key.get() === held) await askForKey(Boolean(held));
    return response(url, { signal, headers, cache });
  }
  if (!answer.ok) throw new ApiError(answer.status, await sentence(answer));
  return answer;
}

async function sentence(answer) {
  const problem = await answer.json().catch(() => ({}));
  const text = typeof problem.detail === "string" ? problem.detail : problem.title;
  return text || `The server answered with status ${answer.status}.`;
}

/** The JSON at a path such as "/v1/overview"; `isTimed` where it tells a time of now, which no cache may hold. */
export async function get(path, parameters, { signal, isTimed = false } = {}) {
  const cache = isTimed ? "no-store" : "default";
  return (await response(address(path, parameters), { signal, cache, headers: { Accept: "application/json" } })).json();
}

/**
 * All items of a list, page by page; of a very long one the first pages, and `isCut` of what is returned says so. What knows no
 * pages ignores `limit`.
 */
export async function all(path, parameters, { signal } = {}) {
  const items = [];
  let cursor = null;
  for (let page = 0; page < PAGES_AT_MOST; page += 1) {
    const answer = await get(path, { limit: PAGE_ROWS, ...parameters, cursor }, { signal });
    items.push(...answer.items);
    cursor = answer.next_cursor;
    if (!cursor) break;
  }
  return Object.assign(items, { isCut: Boolean(cursor) });
}
