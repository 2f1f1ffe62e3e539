// The frame of the dashboard: shows the page of the address, and refreshes it when the server reports something new.

import { ApiError, onUnauthorised } from "./api.js";
import * as clock from "./clock.js";
import { announce, h } from "./dom.js";
import { follow } from "./events.js";
import { closeMenu, markCurrentLink, startMenu } from "./menu.js";
import { note } from "./parts.js";
import { askForKey, showSignOut } from "./sign-in.js";
import { banner, connectionStatus, showStatus } from "./status.js";
import accuracy from "./pages/accuracy.js";
import alerts from "./pages/alerts.js";
import building from "./pages/building.js";
import devices from "./pages/devices.js";
import drift from "./pages/drift.js";
import overview from "./pages/overview.js";
import pipeline from "./pages/pipeline.js";
import quality from "./pages/quality.js";

const PAGES = { "": overview, buildings: building, accuracy, alerts, devices, quality, drift, pipeline };
const MIN_REFRESH_MS = 5000;
const MAX_REFRESH_MS = 60000;
const EVENT_DELAY_MS = 200;
// `forecasts` is one event per commit, in place of one for each forecast.
const EVENTS = "/v1/events?kind=alert&kind=as_of&kind=forecasts";

const main = document.getElementById("main");
let page = null;

/** What a page receives: the segments of its address, and its query. */
function pageContext(segments, query) {
  return {
    id: segments[1] ?? null,
    query,
    /** The value of a query parameter if it is one of `options`, [[value, text]], else `fallback`. */
    selected: (name, options, fallback) =>
      options.some(([value]) => value === query.get(name)) ? query.get(name) : fallback,
    /** Writes changes of the query to the address. */
    remember: (changes) => {
      for (const [name, value] of Object.entries(changes)) value ? query.set(name, value) : query.delete(name);
      const path = segments.map(encodeURIComponent).join("/");
      history.replaceState(null, "", `#/${path}${query.size ? `?${query}` : ""}`);
    },
  };
}

function showPage({ moveFocus }) {
  const [path, query] = location.hash.replace(/^#\/?/, "").split("?");
  const parsed = path.split("/").map(decoded);
  const segments = parsed[0] === "buildings" && !parsed[1] ? [""] : parsed; // the overview has the list of buildings
  const build = Object.hasOwn(PAGES, segments[0]) ? PAGES[segments[0]] : notFound;
  page?.panels.forEach((panel) => panel.stop());
  page = build(pageContext(segments, new URLSearchParams(query)));
  main.replaceChildren(banner, ...page.elements);
  document.title = `${page.title} · Wattcast`;
  markCurrentLink(segments[0]);
  closeMenu();
  if (moveFocus) {
    window.scrollTo(0, 0);
    main.querySelector("h1")?.focus();
  }
  return Promise.all(page.panels.map((panel) => panel.refresh()));
}

function decoded(segment) {
  try {
    return decodeURIComponent(segment);
  } catch {
    return segment;
  }
}

const notFound = () => ({
  title: "Page not found",
  panels: [],
  elements: [
    h("h1", { tabindex: "-1" }, "Page not found"),
    note("This page does not exist: choose a page from the menu."),
  ],
});

const connection = connectionStatus(refreshSoon);
let refreshedAt = 0;
let refreshTimer = null;

/** Refreshes the page, at most once in MIN_REFRESH_MS. */
function refreshSoon() {
  if (refreshTimer) return;
  refreshTimer = setTimeout(
    async () => {
      refreshTimer = null;
      if (document.hidden) return;
      refreshedAt = Date.now();
      await readOverview();
      page?.panels.forEach((panel) => panel.update());
    },
    Math.max(EVENT_DELAY_MS, refreshedAt + MIN_REFRESH_MS - Date.now()),
  );
}

async function readOverview() {
  try {
    await clock.readOverview();
    connection.update({ requests: "live" });
  } catch (error) {
    if (!(error instanceof ApiError)) throw error;
    connection.update({ requests: "lost" });
    refreshedAt = Date.now();
    refreshSoon(); // no event says that the server answers again
  }
  showStatus();
}

function onEvent({ event, data }) {
  if (event === "alert" && data.state === "firing") announce(`New alert: ${data.message}`);
  if (event === "forecasts" && page?.buildingId) announce("New forecasts have arrived.");
  refreshSoon();
}

/** Also without events, because data that stop arriving cause none. */
function onTimer() {
  showStatus();
  refreshSoon();
}

startMenu();
window.addEventListener("hashchange", () => showPage({ moveFocus: true }));
document.addEventListener("visibilitychange", () => document.hidden || refreshSoon());
setInterval(onTimer, MAX_REFRESH_MS);

onUnauthorised(askForKey);
showSignOut();
await readOverview();
showPage({ moveFocus: false });
follow(EVENTS, { onEvent, onState: (events) => connection.update({ events }) });
