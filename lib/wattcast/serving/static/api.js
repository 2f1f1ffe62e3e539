// The REST API by fetch, which can send a key: JSON, errors as sentences, and lists page by page.

const KEY = "wattcast-api-key";
const MAX_PAGES = 20;
const PAGE_ROWS = 500;

/** An error as a sentence; `status` is 0 where the server could not be reached. */
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

/** `ask(wasRefused)` shows the sign-in and resolves when the person has entered another key. */
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

/** The response to a request. If it needs a key and `ask` is set, the sign-in is shown and the request is repeated. */
export async function request(url, { signal, headers = {}, cache, ask = true } = {}) {
  const sentKey = key.get();
  const authorisation = sentKey ? { Authorization: `Bearer ${sentKey}` } : {};
  let response;
  try {
    response = await fetch(url, { signal, cache, headers: { ...headers, ...authorisation } });
  } catch (error) {
    if (error.name === "AbortError") throw error;
    throw new ApiError(0, "The server cannot be reached.");
  }
  if (response.status === 401 && ask) {
    if (key.get() === sentKey) await askForKey(Boolean(sentKey));
    return request(url, { signal, headers, cache });
  }
  if (!response.ok) throw new ApiError(response.status, await sentence(response));
  return response;
}

async function sentence(response) {
  const problem = await response.json().catch(() => ({}));
  const text = typeof problem.detail === "string" ? problem.detail : problem.title;
  return text || `The server answered with status ${response.status}.`;
}

/** The JSON at a path such as "/v1/overview"; `isTimed`: it contains the current time, so no cache may store it. */
export async function get(path, parameters, { signal, isTimed = false } = {}) {
  const cache = isTimed ? "no-store" : "default";
  const headers = { Accept: "application/json" };
  return (await request(address(path, parameters), { signal, cache, headers })).json();
}

/**
 * All items of a list, page by page. Of a very long list only the first MAX_PAGES pages, and `isCut` of the result is true. Lists
 * without pages ignore `limit`.
 */
export async function all(path, parameters, { signal } = {}) {
  const items = [];
  let cursor = null;
  for (let page = 0; page < MAX_PAGES; page += 1) {
    const body = await get(path, { limit: PAGE_ROWS, ...parameters, cursor }, { signal });
    items.push(...body.items);
    cursor = body.next_cursor;
    if (!cursor) break;
  }
  return Object.assign(items, { isCut: Boolean(cursor) });
}
