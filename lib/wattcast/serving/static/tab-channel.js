// The channel that connects the tabs with the same key, of which one holds the event stream.

import { watchdog } from "./watchdog.js";

/**
 * `whileHolder(signal, work)` waits until no other tab holds the stream and then runs `work`; `send` gives a message to all tabs,
 * this one included. A page from another machine over plain HTTP has no locks, and holds its own stream.
 */
export async function openChannel(apiKey, last, handlers) {
  const name = navigator.locks ? await channelName(apiKey) : null;
  const channel = name && new BroadcastChannel(name);
  const silence = watchdog(() => handlers.onState("lost"));
  let isLive = false;
  const receive = (message) => {
    silence.restart();
    handle(message, last, handlers);
  };
  const send = (message) => {
    isLive = message.kind !== "lost";
    channel?.postMessage(message);
    receive(message);
  };
  if (channel) {
    channel.onmessage = ({ data: message }) => {
      if (message.kind !== "state-request") receive(message);
      else if (isLive) channel.postMessage({ kind: "live" });
    };
    channel.postMessage({ kind: "state-request" });
  }
  return {
    send,
    whileHolder: (signal, work) => (name ? navigator.locks.request(name, { signal }, work) : work()),
    close: () => {
      silence.stop();
      channel?.close();
    },
  };
}

function handle(message, last, { onEvent, onState }) {
  onState(message.kind === "lost" ? "lost" : "live");
  if (message.kind !== "event") return;
  last.id = message.event.id ?? last.id;
  onEvent(message.event);
}

/** A name that does not reveal the key. */
async function channelName(apiKey) {
  const digest = await crypto.subtle.digest("SHA-256", new TextEncoder().encode(apiKey ?? ""));
  return `wattcast-events-${[...new Uint8Array(digest)].map((byte) => byte.toString(16).padStart(2, "0")).join("")}`;
}
