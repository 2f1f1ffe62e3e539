// What pages are put together from: parts that fetch and draw themselves, cards, tables, badges, choices.

import { ApiError } from "./api.js";
import { h, replace, s } from "./dom.js";
import { moment } from "./words.js";

export const note = (sentence) => h("p", { class: "note" }, sentence);

/**
 * A part of a page: `load(signal)` fetches, `draw(data)` gives elements, or nothing where there is nothing to show, for which
 * `empty` is said. It is drawn anew when its data change, or `now()`, by which it tells ages. What is shown stays when a later
 * fetch fails, with a sentence above it.
 */
export function part({ load, draw, empty = "There is nothing to show yet.", now = () => null }) {
  const problem = h("div", { role: "alert" });
  const body = h("div", { class: "live-part" }, note("Loading."));
  const element = h("div", { class: "live-part", "aria-busy": "true" }, problem, body);
  let controller = null;
  let seen = null;
  let seenAt = null;

  async function refresh() {
    controller?.abort();
    const own = (controller = new AbortController());
    try {
      const data = await load(own.signal);
      if (own.signal.aborted) return;
      problem.replaceChildren();
      seenAt = new Date();
      const text = JSON.stringify([data, now()]);
      if (text !== seen) replace(body, draw(data) || note(empty));
      seen = text;
    } catch (error) {
      if (error.name === "AbortError") return;
      if (!(error instanceof ApiError)) throw error;
      if (seen === null) body.replaceChildren();
      problem.replaceChildren(failure(error, seenAt, refresh));
    } finally {
      if (controller === own) element.setAttribute("aria-busy", "false");
    }
  }

  return { element, refresh, stop: () => controller?.abort() };
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
 * `columns`: [{name, cell(row), number, tight, wide}]; the first is the row's heading. On a phone each row is a block,
 * its cells with their names; the roles keep it a table there.
 */
export function table(caption, columns, rows, { emphasis = () => false } = {}) {
  const cell = ({ name, cell: value, number, tight, wide }, row, i) =>
    h(
      i ? "td" : "th",
      {
        role: i ? "cell" : "rowheader",
        scope: i ? null : "row",
        "data-label": i ? name : null,
        class: [number && "number", tight && "tight", wide && "wide"].filter(Boolean).join(" ") || null,
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

export const buildingLink = (id) => h("a", { href: `#/buildings/${encodeURIComponent(id)}` }, id);

export function subjectLink({ scope, subject }) {
  if (scope === "building") return buildingLink(subject);
  if (scope === "device")
    return subject.includes("/")
      ? h("a", { href: `#/devices?building_id=${encodeURIComponent(subject.split("/")[0])}` }, subject)
      : subject;
  return subject === "fleet" ? "the fleet" : subject;
}
