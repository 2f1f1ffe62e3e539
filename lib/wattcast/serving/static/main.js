// The frame of the dashboard: which page is shown, and what the server says is new.

import { ApiError, onUnauthorised } from "./api.js";
import * as clock from "./clock.js";
import { announce, h } from "./dom.js";
import { follow } from "./events.js";
import { note } from "./parts.js";
import { askForKey, showSignOut } from "./sign-in.js";
import { duration, moment } from "./words.js";
import accuracy from "./pages/accuracy.js";
import alerts from "./pages/alerts.js";
import building from "./pages/building.js";
import devices from "./pages/devices.js";
import drift from "./pages/drift.js";
import overview from "./pages/overview.js";
import pipeline from "./pages/pipeline.js";
import quality from "./pages/quality.js";

const PAGES = { "": overview, buildings: building, accuracy, alerts, devices, quality, drift, pipeline };
const REFRESH_AT_MOST_EVERY_MS = 5000;
const REFRESH_AT_LEAST_EVERY_MS = 60000;
const MEASURED_LATE_S = 3600;

const main = document.getElementById("main");
let page = null;

/** What a page is given: the words of its address. */
function context(words, query) {
  return {
    id: words[1] ?? null,
    query,
    /** One of `options`, [[value, text]], as the address has it. */
    chosen: (name, options, fallback) =>
      options.some(([value]) => value === query.get(name)) ? query.get(name) : fallback,
    remember: (changes) => {
      for (const [name, value] of Object.entries(changes)) value ? query.set(name, value) : query.delete(name);
      const path = words.map(encodeURIComponent).join("/");
      history.replaceState(null, "", `#/${path}${query.size ? `?${query}` : ""}`);
    },
  };
}

function show({ byPerson }) {
  const [path, query] = location.hash.replace(/^#\/?/, "").split("?");
  const named = path.split("/").map(decoded);
  const words = named[0] === "buildings" && !named[1] ? [""] : named; // the list of buildings is on the page of the fleet
  const make = Object.hasOwn(PAGES, words[0]) ? PAGES[words[0]] : missing;
  page?.parts.forEach((each) => each.stop());
  page = make(context(words, new URLSearchParams(query)));
  main.replaceChildren(banner, ...page.elements);
  document.title = `${page.title} · Wattcast`;
  for (const link of document.querySelectorAll("nav a")) {
    const isCurrent =
      link.getAttribute("href") === `#/${words[0]}` || (words[0] === "buildings" && link.dataset.page === "overview");
    isCurrent ? link.setAttribute("aria-current", "page") : link.removeAttribute("aria-current");
  }
  closeMenu();
  if (byPerson) {
    window.scrollTo(0, 0);
    main.querySelector("h1")?.focus();
  }
  return Promise.all(page.parts.map((each) => each.refresh()));
}

function decoded(word) {
  try {
    return decodeURIComponent(word);
  } catch {
    return word;
  }
}

const missing = () => ({
  title: "No such page",
  parts: [],
  elements: [
    h("h1", { tabindex: "-1" }, "No such page"),
    note("There is no page of this name: choose one from the list of pages."),
  ],
});

// What is new

const banner = h("div", { role: "status", class: "banners" });
let refreshed = 0;
let waiting = null;

function refreshSoon() {
  if (waiting) return;
  waiting = setTimeout(
    async () => {
      waiting = null;
      if (document.hidden) return;
      refreshed = Date.now();
      await readOverview();
      page?.parts.forEach((each) => each.renew());
    },
    Math.max(200, refreshed + REFRESH_AT_MOST_EVERY_MS - Date.now()),
  );
}

/** By the minute, since what stops is no event. */
function everyMinute() {
  showState();
  refreshSoon();
}

async function readOverview() {
  try {
    await clock.readOverview();
    showLive({ read: "live" });
  } catch (error) {
    if (!(error instanceof ApiError)) throw error;
    showLive({ read: "lost" });
  }
  showState();
}

// Not each forecast: one event a commit says that there are new ones.
const EVENTS = "/v1/events?kind=alert&kind=as_of&kind=forecasts";

function heard({ event, data }) {
  if (event === "alert" && data.state === "firing") announce(`New alert: ${data.message}`);
  if (event === "forecasts" && page?.buildingId) announce("New forecasts are in.");
  refreshSoon();
}

const LIVE = { connecting: "Connecting", live: "Live", lost: "Not connected, trying again" };
const connection = { events: "connecting", read: "connecting" };

/** The page is live if it hears of events and its last look succeeded. */
function showLive(changes) {
  const wasLost = connection.events === "lost";
  Object.assign(connection, changes);
  if (wasLost && connection.events === "live") refreshSoon();
  const both = Object.values(connection);
  const now = ["lost", "connecting"].find((each) => both.includes(each)) ?? "live";
  const shown = document.getElementById("live");
  if (shown.dataset.state === now) return;
  if (now === "lost") announce("The connection to the server is lost; what you see may be old.");
  if (now === "live" && shown.dataset.state === "lost") announce("The connection to the server is there again.");
  shown.dataset.state = now;
  document.getElementById("live-text").textContent = LIVE[now];
}

/** What stands on every page: of when the data are, how many alerts are open, and what has stopped. */
function showState() {
  const { as_of: asOf, alerts: open } = clock.overview() ?? {};
  document.getElementById("as-of").textContent = asOf ? `Data of ${moment(asOf)}` : "";
  const count = (open?.critical ?? 0) + (open?.warning ?? 0);
  const badge = document.getElementById("alert-count");
  badge.hidden = !count;
  badge.replaceChildren(String(count), h("span", { class: "unseen" }, " open"));
  const sentences = stopped();
  if ([...banner.children].map((each) => each.textContent).join() !== sentences.join())
    banner.replaceChildren(...sentences.map((each) => h("p", { class: "banner warn" }, each)));
}

/** What has stopped, in sentences. */
function stopped() {
  const { as_of: asOf, stale_after_minutes: limit, measured } = clock.overview() ?? {};
  if (!asOf) return [];
  const seconds = clock.secondsSince(asOf);
  const looks = Object.values(measured).filter(Boolean);
  const ages = looks.map(clock.measuredAge);
  const newest = looks[ages.indexOf(Math.min(...ages))];
  return [
    seconds > 60 * limit &&
      `Nothing has arrived since ${moment(asOf)}, for ${duration(seconds)}: all pages show the state of then.`,
    newest &&
      Math.min(...ages) > MEASURED_LATE_S &&
      `The monitor has measured nothing since ${moment(newest.measured_at)}, for ${duration(Math.min(...ages))}: figures and alerts are of then.`,
  ].filter(Boolean);
}

// Menu

const menu = document.querySelector(".menu");
const nav = document.getElementById("nav");

function closeMenu() {
  nav.classList.remove("open");
  menu.setAttribute("aria-expanded", "false");
}

menu.addEventListener("click", () => menu.setAttribute("aria-expanded", String(nav.classList.toggle("open"))));
nav.addEventListener("keydown", (event) => {
  if (event.key !== "Escape") return;
  closeMenu();
  menu.focus();
});
document.querySelector(".skip").addEventListener("click", (event) => {
  event.preventDefault();
  main.focus();
});

window.addEventListener("hashchange", () => show({ byPerson: true }));
document.addEventListener("visibilitychange", () => document.hidden || refreshSoon());
setInterval(everyMinute, REFRESH_AT_LEAST_EVERY_MS);

onUnauthorised(askForKey);
showSignOut();
await readOverview();
show({ byPerson: false });
follow(EVENTS, { heard, state: (events) => showLive({ events }) });
