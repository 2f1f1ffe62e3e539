// Server-sent events. A browser opens at most six connections to a server, and an event stream occupies one. So a tab listens
// only while it is visible, and of all visible tabs one holds the stream and forwards the events to the others.

import { ApiError, key, request, signIn } from "./api.js";
import { openChannel } from "./tab-channel.js";
import { watchdog } from "./watchdog.js";

const RETRY_MS = 1000;
const MAX_RETRY_MS = 30000;

/**
 * While the page is visible, calls `handlers.onEvent({event, data})` for each event, and `handlers.onState("live" | "lost")` when
 * the connection is there or lost.
 */
export function follow(path, handlers) {
  let controller = null;
  const startOrStop = () => {
    if (document.hidden) controller?.abort();
    else if (!controller || controller.signal.aborted) {
      controller = new AbortController();
      listen(path, handlers, controller.signal);
    }
  };
  document.addEventListener("visibilitychange", startOrStop);
  startOrStop();
}

async function listen(path, handlers, signal) {
  const last = { id: null };
  let retryMs = RETRY_MS;
  while (!signal.aborted) {
    const sentKey = key.get();
    const channel = await openChannel(sentKey, last, handlers);
    try {
      await channel.whileHolder(signal, async () => {
        await stream(path, { channel, last, signal });
        retryMs = RETRY_MS;
      });
    } catch (error) {
      if (signal.aborted) break;
      if (error.status === 401 && key.get() === sentKey) await signIn(Boolean(sentKey));
      else if (!(error instanceof ApiError || error instanceof TypeError || error.name === "AbortError")) throw error;
    } finally {
      if (!signal.aborted) channel.send({ kind: "lost" });
      channel.close();
    }
    await pause(retryMs, signal);
    retryMs = Math.min(2 * retryMs, MAX_RETRY_MS);
  }
}

/** One connection, until it ends or stays silent for too long; its events go to the channel. */
async function stream(path, { channel, last, signal }) {
  const connection = new AbortController();
  const abort = () => connection.abort();
  const silence = watchdog(abort);
  signal.addEventListener("abort", abort);
  const reportLive = () => {
    silence.restart();
    channel.send({ kind: "live" });
  };
  try {
    const headers = { Accept: "text/event-stream", ...(last.id && { "Last-Event-ID": last.id }) };
    const response = await request(path, { signal: connection.signal, headers, ask: false });
    reportLive();
    for await (const event of events(response.body, reportLive)) channel.send({ kind: "event", event });
  } finally {
    silence.stop();
    signal.removeEventListener("abort", abort);
  }
}

/** Resolves after `ms`, or as soon as `signal` aborts. */
function pause(ms, signal) {
  return new Promise((resolve) => {
    const finish = () => {
      clearTimeout(timer);
      signal.removeEventListener("abort", finish);
      resolve();
    };
    const timer = setTimeout(finish, ms);
    signal.addEventListener("abort", finish);
  });
}

/** The events of a text/event-stream with their data as parsed JSON; `onData` is called for each chunk that arrives. */
async function* events(body, onData) {
  let rest = "";
  const reader = body.pipeThrough(new TextDecoderStream()).getReader();
  for (;;) {
    const { value, done } = await reader.read();
    if (done) return;
    onData();
    const blocks = (rest + value.replaceAll("\r\n", "\n")).split("\n\n");
    rest = blocks.pop();
    yield* blocks.map(parsedEvent).filter((event) => event.data !== null);
  }
}

function parsedEvent(block) {
  const event = { event: "message", id: null, data: null };
  const lines = [];
  for (const line of block.split("\n")) {
    const [, field, value] = /^(\w*): ?(.*)$/.exec(line) ?? [];
    if (field === "data") lines.push(value);
    else if (field === "event" || field === "id") event[field] = value;
  }
  if (lines.length) event.data = JSON.parse(lines.join("\n"));
  return event;
}
