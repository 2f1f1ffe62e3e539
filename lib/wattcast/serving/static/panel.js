// Panels: parts of a page that load and draw themselves.

import { ApiError } from "./api.js";
import { h, replace } from "./dom.js";
import { moment } from "./formats.js";
import { note } from "./parts.js";

const SLOW_MS = 3000;
export const MINUTELY = 55000; // slightly less than the minute after which pages are refreshed

/**
 * A panel: `load(signal)` fetches its data, `draw(data)` returns elements, or nothing where there is nothing to show; then the
 * text `empty` is shown. It is drawn again when its data or `now()`, the time for ages, change. When a later request fails, the
 * panel keeps what it shows, with the error above it.
 *
 * `refresh` is for a choice of the person: it cancels a running request. `update` is for new data on the server: it waits for a
 * running request, reloads at most once in `everyMs`, and once a minute where loading is slow.
 */
export function panel({ load, draw, empty = "There are no data yet.", now = () => null, everyMs = 0 }) {
  const view = panelView(draw, now, empty);
  let controller = null;
  let mustUpdate = false;
  let tookMs = 0;

  async function refresh() {
    controller?.abort();
    const current = (controller = new AbortController());
    const startedAt = Date.now();
    mustUpdate = false;
    try {
      await loadInto(view, load, current.signal, refresh);
    } finally {
      if (controller === current) {
        controller = null;
        tookMs = Date.now() - startedAt;
        view.setIdle();
        if (mustUpdate) update();
      }
    }
  }

  function update() {
    if (controller) {
      mustUpdate = true;
      return;
    }
    const pauseMs = tookMs > SLOW_MS ? Math.max(everyMs, MINUTELY) : everyMs;
    if (view.ageMs() >= pauseMs) refresh();
    else view.repaint();
  }

  function stop() {
    controller?.abort();
    controller = null;
  }
  return { element: view.element, refresh, update, stop };
}

/** Shows what `load` returns, or its error with a button that calls `retry`; nothing once `signal` has aborted. */
async function loadInto(view, load, signal, retry) {
  try {
    const data = await load(signal);
    if (!signal.aborted) view.show(data);
  } catch (error) {
    if (error.name === "AbortError") return;
    if (!(error instanceof ApiError)) throw error;
    if (!signal.aborted) view.showError(error, retry);
  }
}

/** The elements of a panel, and what they show. */
function panelView(draw, now, empty) {
  const problem = h("div", { role: "alert" });
  const body = h("div", { class: "live-part" }, note("Loading."));
  const element = h("div", { class: "live-part", "aria-busy": "true" }, problem, body);
  let loadedAt = null;
  let data = null;
  let painted = null;

  function repaint() {
    const version = JSON.stringify([data, now()]);
    if (version !== painted) replace(body, draw(data) || note(empty));
    painted = version;
  }
  return {
    element,
    repaint,
    show: (newData) => {
      data = newData;
      loadedAt = Date.now();
      replace(problem);
      repaint();
    },
    showError: (error, retry) => {
      if (loadedAt === null) body.replaceChildren();
      replace(problem, errorBanner(error, loadedAt, retry));
    },
    setIdle: () => element.setAttribute("aria-busy", "false"),
    ageMs: () => (loadedAt === null ? Infinity : Date.now() - loadedAt),
  };
}

function errorBanner(error, loadedAt, retry) {
  const age = loadedAt ? ` The data shown were loaded at ${moment(loadedAt)}.` : "";
  return h(
    "p",
    { class: "banner bad" },
    `${error.message}${age} `,
    h("button", { class: "link", type: "button", on: { click: retry } }, "Try again"),
  );
}

/** A panel of rows by cursor, with a button for the next page; a refresh loads as many pages as are shown. */
export function pagedPanel({ fetchPage, draw, empty, now }) {
  let pageCount = 1;
  const rows = panel({
    empty,
    now,
    load: async (signal) => {
      const items = [];
      let cursor = null;
      for (let page = 0; page < pageCount && (page === 0 || cursor); page += 1) {
        const body = await fetchPage(cursor, signal);
        items.push(...body.items);
        cursor = body.next_cursor;
      }
      return { items, hasMore: Boolean(cursor) };
    },
    draw: ({ items, hasMore }) =>
      items.length && [
        draw(items),
        hasMore && h("button", { class: "more", type: "button", on: { click: showMore } }, "Show more"),
      ],
  });
  function showMore() {
    pageCount += 1;
    rows.refresh();
  }
  return {
    ...rows,
    restart: () => {
      pageCount = 1;
      return rows.refresh();
    },
  };
}
