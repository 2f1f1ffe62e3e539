// What is new, as the server sends it. A browser opens six connections to a server at most, and an event stream keeps one: so a tab
// listens only while it is seen, and of those that are seen one holds the stream and tells the others.

import { ApiError, key, response, signIn } from "./api.js";

const SILENT_MS = 40000; // the server gives a sign of life every 15 s
const WAIT_MS = 1000;
const WAIT_AT_MOST_MS = 30000;

/** Calls `heard({event, data})` for each event while the page is seen, and `state("live" | "lost")` as the connection comes or goes. */
export function follow(path, seen) {
  let controller = null;
  const look = () => {
    if (document.hidden) controller?.abort();
    else if (!controller || controller.signal.aborted) {
      controller = new AbortController();
      listen(path, seen, controller.signal);
    }
  };
  document.addEventListener("visibilitychange", look);
  look();
}

async function listen(path, seen, signal) {
  const last = { id: null };
  let wait = WAIT_MS;
  while (!signal.aborted) {
    const held = key.get();
    const room = await shared(held, last, seen);
    try {
      await room.hold(signal, async () => {
        await stream(path, { room, last, signal });
        wait = WAIT_MS;
      });
    } catch (error) {
      if (signal.aborted) break;
      if (error.status === 401 && key.get() === held) await signIn(Boolean(held));
      else if (!(error instanceof ApiError || error instanceof TypeError || error.name === "AbortError")) throw error;
    } finally {
      if (!signal.aborted) room.say({ kind: "lost" });
      room.leave();
    }
    await pause(wait, signal);
    wait = Math.min(2 * wait, WAIT_AT_MOST_MS);
  }
}

/** One connection, until it ends or nothing comes any more; what comes is said in the room. */
async function stream(path, { room, last, signal }) {
  const connection = new AbortController();
  const watch = watched(() => connection.abort());
  const end = () => connection.abort();
  signal.addEventListener("abort", end);
  const alive = () => {
    watch.restart();
    room.say({ kind: "live" });
  };
  try {
    const headers = { Accept: "text/event-stream", ...(last.id && { "Last-Event-ID": last.id }) };
    const answer = await response(path, { signal: connection.signal, headers, ask: false });
    alive();
    for await (const event of events(answer.body, alive)) room.say({ kind: "event", event });
  } finally {
    watch.stop();
    signal.removeEventListener("abort", end);
  }
}

/**
 * Where the tabs of one key meet: `hold(signal, work)` waits until no other tab works, `say` tells them all, this one too. A page
 * that came over plain HTTP from another machine has no locks, and holds a stream of its own.
 */
async function shared(held, last, { heard, state }) {
  const name = navigator.locks ? await roomName(held) : null;
  const channel = name && new BroadcastChannel(name);
  const watch = watched(() => state("lost"));
  let isLive = false;
  const take = (said) => {
    watch.restart();
    if (said.kind === "lost") return state("lost");
    state("live");
    if (said.kind !== "event") return undefined;
    last.id = said.event.id ?? last.id;
    return heard(said.event);
  };
  const say = (said) => {
    isLive = said.kind !== "lost";
    channel?.postMessage(said);
    take(said);
  };
  if (channel) {
    channel.onmessage = ({ data: said }) => {
      if (said.kind !== "who") take(said);
      else if (isLive) channel.postMessage({ kind: "live" });
    };
    channel.postMessage({ kind: "who" });
  }
  return {
    say,
    hold: (signal, work) => (name ? navigator.locks.request(name, { signal }, work) : work()),
    leave: () => {
      watch.stop();
      channel?.close();
    },
  };
}

/** A name that tells nothing of the key. */
async function roomName(held) {
  const digest = await crypto.subtle.digest("SHA-256", new TextEncoder().encode(held ?? ""));
  return `wattcast-events-${[...new Uint8Array(digest)].map((byte) => byte.toString(16).padStart(2, "0")).join("")}`;
}

/** Calls `silent` when it was not restarted for too long. */
function watched(silent) {
  let timer = setTimeout(silent, SILENT_MS);
  const stop = () => clearTimeout(timer);
  const restart = () => {
    stop();
    timer = setTimeout(silent, SILENT_MS);
  };
  return { restart, stop };
}

/** Waits, but no longer than until `signal` aborts. */
function pause(ms, signal) {
  return new Promise((resolve) => {
    const done = () => {
      clearTimeout(timer);
      signal.removeEventListener("abort", done);
      resolve();
    };
    const timer = setTimeout(done, ms);
    signal.addEventListener("abort", done);
  });
}

/** The events of a text/event-stream, with `alive()` for each part that arrives; `data` is parsed JSON. */
async function* events(body, alive) {
  let rest = "";
  const reader = body.pipeThrough(new TextDecoderStream()).getReader();
  for (;;) {
    const { value, done } = await reader.read();
    if (done) return;
    alive();
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
