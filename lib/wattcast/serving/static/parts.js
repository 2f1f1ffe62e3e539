// What pages are put together from: parts that fetch and draw themselves, cards, tables, badges, choices.

import { ApiError } from "./api.js";
import { h, replace, s } from "./dom.js";
import { moment, number } from "./words.js";

const SLOW_MS = 3000;
export const MINUTELY = 55000; // a little less than the minute by which pages are refreshed

export const note = (sentence) => h("p", { class: "note" }, sentence);

/**
 * A part of a page: `load(signal)` fetches, `draw(data)` gives elements, or nothing where there is nothing to show, for which
 * `empty` is said. It is drawn anew when its data change, or `now()`, by which it tells ages. What is shown stays when a later
 * fetch fails, with a sentence above it.
 *
 * `refresh` is for a person, who has chosen something else: what is being loaded is given up. `renew` is for what has changed
 * by itself: it waits until what is being loaded is there, comes at most once in `everyMs`, and once a minute where it is slow.
 */
export function part({ load, draw, empty = "There is nothing to show yet.", now = () => null, everyMs = 0 }) {
  const problem = h("div", { role: "alert" });
  const body = h("div", { class: "live-part" }, note("Loading."));
  const element = h("div", { class: "live-part", "aria-busy": "true" }, problem, body);
  const loaded = { data: null, at: null, tookMs: 0, text: null };
  let controller = null;
  let isChanged = false;

  function paint() {
    const text = JSON.stringify([loaded.data, now()]);
    if (text !== loaded.text) replace(body, draw(loaded.data) || note(empty));
    loaded.text = text;
  }

  async function refresh() {
    controller?.abort();
    const own = (controller = new AbortController());
    const began = Date.now();
    isChanged = false;
    try {
      const data = await load(own.signal);
      if (own.signal.aborted) return;
      Object.assign(loaded, { data, at: Date.now() });
      replace(problem);
      paint();
    } catch (error) {
      if (error.name === "AbortError") return;
      if (!(error instanceof ApiError)) throw error;
      if (own.signal.aborted) return;
      if (loaded.at === null) body.replaceChildren();
      replace(problem, failure(error, loaded.at, refresh));
    } finally {
      if (controller === own) {
        controller = null;
        loaded.tookMs = Date.now() - began;
        element.setAttribute("aria-busy", "false");
        if (isChanged) renew();
      }
    }
  }

  function renew() {
    if (controller) {
      isChanged = true;
      return;
    }
    const pause = loaded.tookMs > SLOW_MS ? Math.max(everyMs, MINUTELY) : everyMs;
    if (loaded.at === null || Date.now() - loaded.at >= pause) refresh();
    else paint();
  }

  function stop() {
    controller?.abort();
    controller = null;
  }
  return { element, refresh, renew, stop };
}

function failure(error, seenAt, retry) {
  const old = seenAt ? ` What you see was read at ${moment(seenAt)}.` : "";
  return h(
    "p",
    { class: "banner bad" },
    `${error.message}${old} `,
    h("button", { class: "link", type: "button", on: { click: retry } }, "Try again"),
  );
}

export function pageHead(title, lede, ...aside) {
  return h(
    "div",
    { class: "page-head" },
    h("div", {}, h("h1", { tabindex: "-1" }, title), lede ? h("p", { class: "lede" }, lede) : null),
    ...aside,
  );
}

/** A section with a heading; `says` is a short line beside it. */
export function card(title, says, ...children) {
  return h(
    "section",
    { class: "card" },
    h("header", {}, h("h2", {}, title), says ? h("p", {}, says) : null),
    ...children,
  );
}

const SHAPES = {
  good: "M1 5.5 4 8.5 9 2l-1-1-4 5-2-2z",
  warn: "M5 0l5 9.5H0z",
  bad: "M1 1h8v8H1z",
  accent: "M5 0l1.5 3.5L10 5 6.5 6.5 5 10 3.5 6.5 0 5l3.5-1.5z",
};

/** A status: a colour, a shape and a word. */
export function badge(status, text) {
  return h(
    "span",
    { class: `badge ${status}` },
    SHAPES[status] ? s("svg", { viewBox: "0 0 10 10", "aria-hidden": "true" }, s("path", { d: SHAPES[status] })) : null,
    text,
  );
}

/** `tiles`: [{name, value, unit, status, says, trend}]. */
export function tiles(items) {
  return h(
    "dl",
    { class: "tiles" },
    items.map(({ name, value, unit, status, says, trend }) =>
      h(
        "div",
        { class: "tile" },
        h("dt", {}, name),
        h("dd", { class: "value" }, value, unit ? h("small", {}, ` ${unit}`) : null),
        h("dd", { class: `says ${status ?? "muted"}` }, says),
        trend ? h("dd", {}, trend) : null,
      ),
    ),
  );
}

/**
 * `columns`: [{name, cell(row), number, tight, wide, breaks}]; the first is the row's heading. On a phone each row is a block,
 * its cells with their names; the roles keep it a table there.
 */
export function table(caption, columns, rows, { emphasis = () => false } = {}) {
  const cell = ({ name, cell: value, number, tight, wide, breaks }, row, i) =>
    h(
      i ? "td" : "th",
      {
        role: i ? "cell" : "rowheader",
        scope: i ? null : "row",
        "data-label": i ? name : null,
        class:
          [number && "number", tight && "tight", wide && "wide", breaks && "breaks"].filter(Boolean).join(" ") || null,
      },
      i ? h("div", {}, value(row)) : value(row),
    );
  return h(
    "div",
    { class: "scroll" },
    h(
      "table",
      { class: "stacked", role: "table" },
      h("caption", { class: "unseen" }, caption),
      h(
        "thead",
        { role: "rowgroup" },
        h(
          "tr",
          { role: "row" },
          columns.map(({ name, number }) =>
            h("th", { role: "columnheader", scope: "col", class: number ? "number" : null }, name),
          ),
        ),
      ),
      h(
        "tbody",
        { role: "rowgroup" },
        rows.map((row) =>
          h(
            "tr",
            { role: "row", class: emphasis(row) ? "emphasis" : null },
            columns.map((column, i) => cell(column, row, i)),
          ),
        ),
      ),
    ),
  );
}

/** Rows of a cursor's pages, with a button for the next; `fetchPage(cursor, signal)`. A refresh reads as many pages as were shown. */
export function pages({ fetchPage, draw, empty, now }) {
  let shown = 1;
  const own = part({
    empty,
    now,
    load: async (signal) => {
      const items = [];
      let cursor = null;
      for (let page = 0; page < shown && (page === 0 || cursor); page += 1) {
        const answer = await fetchPage(cursor, signal);
        items.push(...answer.items);
        cursor = answer.next_cursor;
      }
      return { items, more: Boolean(cursor) };
    },
    draw: ({ items, more }) =>
      items.length && [
        draw(items),
        more && h("button", { class: "more", type: "button", on: { click: next } }, "Show more"),
      ],
  });
  function next() {
    shown += 1;
    own.refresh();
  }
  return {
    ...own,
    restart: () => {
      shown = 1;
      return own.refresh();
    },
  };
}

/** A sentence where a list was too long to be read as a whole, the newest first; `at` is the time of a row. */
export const cutNote = (items, at) =>
  items.isCut
    ? note(`Only the newest ${number(items.length)} rows are shown, since ${moment(at(items.at(-1)))}.`)
    : null;

export const buildingLink = (id) =>
  id === null ? "not known" : h("a", { href: `#/buildings/${encodeURIComponent(id)}` }, id);

export function subjectLink({ scope, subject }) {
  if (scope === "building") return buildingLink(subject);
  if (scope === "device")
    return subject.includes("/")
      ? h("a", { href: `#/devices?building_id=${encodeURIComponent(subject.split("/")[0])}` }, subject)
      : subject;
  return subject === "fleet" ? "the fleet" : subject;
}
