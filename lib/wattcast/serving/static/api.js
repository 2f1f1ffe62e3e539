// The REST API: JSON with its errors as sentences, lists by their cursors, and events over fetch, so that a key can be sent.

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

function address(path, parameters = {}) {
  const query = new URLSearchParams();
  for (const [name, value] of Object.entries(parameters)) {
    if (value !== null && value !== undefined && value !== "") query.append(name, value);
  }
  return query.size ? `${path}?${query}` : path;
}

async function response(url, { signal, headers = {} } = {}) {
  const held = key.get();
  const authorisation = held ? { Authorization: `Bearer ${held}` } : {};
  let answer;
  try {
    answer = await fetch(url, { signal, headers: { ...headers, ...authorisation } });
  } catch (error) {
    if (error.name === "AbortError") throw error;
    throw new ApiError(0, "The server cannot be reached. What you see may be old.");
  }
  if (answer.status === 401 && askForKey) {
    await askForKey(Boolean(held));
    return response(url, { signal, headers });
  }
  if (!answer.ok) throw new ApiError(answer.status, await sentence(answer));
  return answer;
}

async function sentence(answer) {
  const problem = await answer.json().catch(() => ({}));
  const text = typeof problem.detail === "string" ? problem.detail : problem.title;
  return text || `The server answered with status ${answer.status}.`;
}

/** The JSON at a path such as "/v1/overview". */
export async function get(path, parameters, { signal } = {}) {
  return (await response(address(path, parameters), { signal, headers: { Accept: "application/json" } })).json();
}

/** All items of a list, page by page; of a very long one the first pages. What knows no pages ignores `limit`. */
export async function all(path, parameters, { signal } = {}) {
  const items = [];
  let cursor = null;
  for (let page = 0; page < PAGES_AT_MOST; page += 1) {
    const answer = await get(path, { limit: PAGE_ROWS, ...parameters, cursor }, { signal });
    items.push(...answer.items);
    cursor = answer.next_cursor;
    if (!cursor) break;
  }
  return items;
}

/** Calls `heard({event, data})` for each event until `signal` aborts, and `state("live" | "lost")` as the connection comes or goes. */
export async function follow(path, { heard, state, signal }) {
  let lastId = null;
  let wait = 1000;
  while (!signal.aborted) {
    try {
      const headers = { Accept: "text/event-stream", ...(lastId && { "Last-Event-ID": lastId }) };
      const answer = await response(path, { signal, headers });
      state("live");
      wait = 1000;
      for await (const event of events(answer.body)) {
        lastId = event.id ?? lastId;
        heard(event);
      }
    } catch (error) {
      if (signal.aborted) return;
      if (!(error instanceof ApiError || error instanceof TypeError)) throw error;
    }
    state("lost");
    await new Promise((resolve) => setTimeout(resolve, wait));
    wait = Math.min(2 * wait, 30000);
  }
}

/** The events of a text/event-stream; `data` is parsed JSON. */
async function* events(body) {
  let rest = "";
  const reader = body.pipeThrough(new TextDecoderStream()).getReader();
  for (;;) {
    const { value, done } = await reader.read();
    if (done) return;
    const blocks = (rest + value.replaceAll("\r\n", "\n")).split("\n\n");
    rest = blocks.pop();
    yield* blocks.map(event).filter((each) => each.data !== null);
  }
}

function event(block) {
  const found = { event: "message", id: null, data: null };
  const lines = [];
  for (const line of block.split("\n")) {
    const [, field, value] = /^(\w*): ?(.*)$/.exec(line) ?? [];
    if (field === "data") lines.push(value);
    else if (field === "event" || field === "id") found[field] = value;
  }
  if (lines.length) found.data = JSON.parse(lines.join("\n"));
  return found;
}
