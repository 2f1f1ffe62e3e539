// What every page shows: the connection, the time of the newest data, the number of open alerts, and warnings about data that
// no longer arrive.

import * as clock from "./clock.js";
import { announce, h } from "./dom.js";
import { duration, moment } from "./formats.js";

const OLD_MEASUREMENT_S = 3600;
const CONNECTION_TEXTS = { connecting: "Connecting", live: "Live", lost: "Not connected, trying again" };

/** The banner above every page. */
export const banner = h("div", { role: "status", class: "banners" });

/**
 * The state of the connection: live if the event stream is open and the last request succeeded. `update({events})` or
 * `update({requests})` reports a change; `onReconnect` is called when the stream is open again.
 */
export function connectionStatus(onReconnect) {
  const states = { events: "connecting", requests: "connecting" };
  const update = (changes) => {
    const wasLost = states.events === "lost";
    Object.assign(states, changes);
    if (wasLost && states.events === "live") onReconnect();
    const values = Object.values(states);
    showConnection(["lost", "connecting"].find((state) => values.includes(state)) ?? "live");
  };
  return { update };
}

function showConnection(state) {
  const element = document.getElementById("live");
  if (element.dataset.state === state) return;
  if (state === "lost") announce("The connection to the server is lost. The data shown may be out of date.");
  if (state === "live" && element.dataset.state === "lost") announce("The connection to the server is restored.");
  element.dataset.state = state;
  document.getElementById("live-text").textContent = CONNECTION_TEXTS[state];
}

/** Shows the time of the newest data, the number of open alerts and the warnings, from the last overview. */
export function showStatus() {
  const { as_of: asOf, alerts } = clock.overview() ?? {};
  document.getElementById("as-of").textContent = asOf ? `Data until ${moment(asOf)}` : "";
  const count = (alerts?.critical ?? 0) + (alerts?.warning ?? 0);
  const badge = document.getElementById("alert-count");
  badge.hidden = !count;
  badge.replaceChildren(String(count), h("span", { class: "unseen" }, " open"));
  const sentences = staleDataWarnings();
  if ([...banner.children].map(({ textContent }) => textContent).join() !== sentences.join())
    banner.replaceChildren(...sentences.map((sentence) => h("p", { class: "banner warn" }, sentence)));
}

function staleDataWarnings() {
  const { as_of: asOf, stale_after_minutes: limit, measured } = clock.overview() ?? {};
  if (!asOf) return [];
  const silence = clock.secondsSince(asOf);
  const measurements = Object.values(measured).filter(Boolean);
  const ages = measurements.map(clock.measurementAge);
  const age = Math.min(...ages);
  const newest = measurements[ages.indexOf(age)];
  return [
    silence > 60 * limit &&
      `No readings have arrived since ${moment(asOf)}, for ${duration(silence)}. All pages show the state at that time.`,
    newest &&
      age > OLD_MEASUREMENT_S &&
      `The monitor has measured nothing since ${moment(newest.measured_at)}, for ${duration(age)}. ` +
        "Figures and alerts are from that time.",
  ].filter(Boolean);
}
