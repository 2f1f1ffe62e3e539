// The frame of the dashboard: which page is shown, what the server says is new, and the sign-in.

import { ApiError, follow, get, key, onUnauthorised } from "./api.js";
import { announce, h } from "./dom.js";
import { note } from "./parts.js";
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
const STALE_AFTER_S = 2 * 3600;
const DAY_MS = 86400000;

const main = document.getElementById("main");
const state = { overview: null, readAt: 0, page: null, live: "connecting" };

/** What a page is given: the words of its address, and the time that the data speak of. */
function context(words, query) {
  const asOf = () => new Date(state.overview?.as_of ?? Date.now());
  return {
    id: words[1] ?? null,
    query,
    asOf,
    overview: () => state.overview,
    since: (days) => new Date(asOf() - days * DAY_MS).toISOString(),
    remember: (changes) => {
      for (const [name, value] of Object.entries(changes)) value ? query.set(name, value) : query.delete(name);
      const path = words.map(encodeURIComponent).join("/");
      history.replaceState(null, "", `#/${path}${query.size ? `?${query}` : ""}`);
    },
  };
}

function show({ byPerson }) {
  const [path, query] = location.hash.replace(/^#\/?/, "").split("?");
  const words = path.split("/").map(decoded);
  const make = PAGES[words[0]];
  state.page?.parts.forEach((each) => each.stop());
  state.page = make ? make(context(words, new URLSearchParams(query))) : missing();
  main.replaceChildren(banner, ...state.page.elements);
  document.title = `${state.page.title} · Wattcast`;
  for (const link of document.querySelectorAll("nav a")) {
    const isCurrent =
      link.getAttribute("href") === `#/${words[0]}` || (words[0] === "buildings" && link.dataset.page === "overview");
    isCurrent ? link.setAttribute("aria-current", "page") : link.removeAttribute("aria-current");
  }
  closeMenu();
  listen();
  if (byPerson) {
    window.scrollTo(0, 0);
    main.querySelector("h1")?.focus();
  }
  return Promise.all(state.page.parts.map((each) => each.refresh()));
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

const banner = h("div", { role: "status" });
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
      state.page.parts.forEach((each) => each.refresh());
    },
    Math.max(200, refreshed + REFRESH_AT_MOST_EVERY_MS - Date.now()),
  );
}

async function readOverview() {
  try {
    state.overview = await get("/v1/overview");
    state.readAt = Date.now();
  } catch (error) {
    if (!(error instanceof ApiError)) throw error;
    showLive("lost");
  }
  showAge();
}

function heard({ event, data }) {
  if (event === "alert" && data.state === "firing") announce(`New alert: ${data.message}`);
  if (event === "forecast" && data.building_id === state.page.buildingId)
    announce("A new forecast of this building is in.");
  refreshSoon();
}

let listening = null;

/** Follows what this page shows: alerts, arrivals and that there are new forecasts; of a building its own forecast, too. */
function listen() {
  const id = state.page.buildingId ?? null;
  if (listening?.id === id) return;
  listening?.abort.abort();
  listening = { id, abort: new AbortController() };
  const query = new URLSearchParams(["alert", "as_of", "forecasts"].map((kind) => ["kind", kind]));
  if (id) {
    query.append("kind", "forecast");
    query.append("building_id", id);
  }
  follow(`/v1/events?${query}`, { heard, state: showLive, signal: listening.abort.signal });
}

const LIVE = { connecting: "Connecting", live: "Live", lost: "Not connected, trying again" };

function showLive(now) {
  if (now === "live" && state.live === "lost") refreshSoon();
  state.live = now;
  document.getElementById("live").dataset.state = now;
  document.getElementById("live-text").textContent = LIVE[now];
}

function showAge() {
  const { as_of: asOf, age_seconds: age, alerts: open } = state.overview ?? {};
  document.getElementById("as-of").textContent = asOf ? `Data of ${moment(asOf)}` : "";
  const count = (open?.critical ?? 0) + (open?.warning ?? 0);
  const badge = document.getElementById("alert-count");
  badge.hidden = !count;
  badge.replaceChildren(String(count), h("span", { class: "unseen" }, " open"));
  const seconds = (age ?? 0) + (Date.now() - state.readAt) / 1000;
  const isStale = asOf && seconds > STALE_AFTER_S;
  const sentence = isStale
    ? `Nothing has arrived since ${moment(asOf)}, for ${duration(seconds)}: all pages show the state of then.`
    : "";
  if (banner.textContent !== sentence)
    banner.replaceChildren(...(sentence ? [h("p", { class: "banner warn" }, sentence)] : []));
}

// Menu and sign-in

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

const dialog = document.getElementById("sign-in");
let signingIn = null;

/** Shows the sign-in and resolves when a key was given; one dialog for all requests that wait. */
function askForKey(wasRefused) {
  if (signingIn) return signingIn;
  document.getElementById("sign-in-error").textContent = wasRefused ? "The server does not take this key." : "";
  signingIn = new Promise((resolve) => {
    dialog.querySelector("form").onsubmit = (event) => {
      event.preventDefault();
      key.set(document.getElementById("api-key").value.trim());
      document.getElementById("api-key").value = "";
      showSignOut();
      dialog.close();
      signingIn = null;
      resolve();
    };
  });
  dialog.showModal();
  return signingIn;
}

dialog.addEventListener("cancel", (event) => event.preventDefault());

function showSignOut() {
  document.getElementById("sign-out").hidden = !key.get();
}

document.getElementById("sign-out").addEventListener("click", () => {
  key.forget();
  location.reload();
});

document.querySelector(".skip").addEventListener("click", (event) => {
  event.preventDefault();
  main.focus();
});
window.addEventListener("hashchange", () => show({ byPerson: true }));
document.addEventListener("visibilitychange", () => document.hidden || refreshSoon());
setInterval(showAge, 60000);

onUnauthorised(askForKey);
showSignOut();
await readOverview();
show({ byPerson: false });
