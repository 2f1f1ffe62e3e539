// Building blocks of pages: headings, cards, badges, tiles, tables and links.

import { h, s } from "./dom.js";
import { moment, number } from "./formats.js";

export const note = (sentence) => h("p", { class: "note" }, sentence);

export function pageHead(title, lede, ...aside) {
  return h(
    "div",
    { class: "page-head" },
    h("div", {}, h("h1", { tabindex: "-1" }, title), lede ? h("p", { class: "lede" }, lede) : null),
    ...aside,
  );
}

/** A section with a heading; `subtitle` is a short line beside it. */
export function card(title, subtitle, ...children) {
  return h(
    "section",
    { class: "card" },
    h("header", {}, h("h2", {}, title), subtitle ? h("p", {}, subtitle) : null),
    ...children,
  );
}

const SHAPES = {
  good: "M1 5.5 4 8.5 9 2l-1-1-4 5-2-2z",
  warn: "M5 0l5 9.5H0z",
  bad: "M1 1h8v8H1z",
  accent: "M5 0l1.5 3.5L10 5 6.5 6.5 5 10 3.5 6.5 0 5l3.5-1.5z",
};

/** A status as a colour, a shape and a word. */
export function badge(status, text) {
  return h(
    "span",
    { class: `badge ${status}` },
    SHAPES[status] ? s("svg", { viewBox: "0 0 10 10", "aria-hidden": "true" }, s("path", { d: SHAPES[status] })) : null,
    text,
  );
}

/** `items`: [{name, value, unit, status, comment, trend}]. */
export function tiles(items) {
  return h(
    "dl",
    { class: "tiles" },
    items.map(({ name, value, unit, status, comment, trend }) =>
      h(
        "div",
        { class: "tile" },
        h("dt", {}, name),
        h("dd", { class: "value" }, value, unit ? h("small", {}, ` ${unit}`) : null),
        h("dd", { class: `says ${status ?? "muted"}` }, comment),
        trend ? h("dd", {}, trend) : null,
      ),
    ),
  );
}

/**
 * `columns`: [{name, cell(row), number, tight, wide, breaks}]; the first column is the heading of its row. On a phone each row is
 * a block whose cells show their names; the ARIA roles keep it a table there.
 */
export function table(caption, columns, rows, { emphasis = () => false } = {}) {
  const bodyRow = (row) =>
    h(
      "tr",
      { role: "row", class: emphasis(row) ? "emphasis" : null },
      columns.map((column, i) => (i ? tableCell(column, row) : rowHeading(column, row))),
    );
  return h(
    "div",
    { class: "scroll" },
    h(
      "table",
      { class: "stacked", role: "table" },
      h("caption", { class: "unseen" }, caption),
      h("thead", { role: "rowgroup" }, h("tr", { role: "row" }, columns.map(columnHeading))),
      h("tbody", { role: "rowgroup" }, rows.map(bodyRow)),
    ),
  );
}

const columnHeading = ({ name, number: isNumber }) =>
  h("th", { role: "columnheader", scope: "col", class: isNumber ? "number" : null }, name);

const rowHeading = (column, row) =>
  h("th", { role: "rowheader", scope: "row", class: cellClass(column) }, column.cell(row));

const tableCell = (column, row) =>
  h("td", { role: "cell", "data-label": column.name, class: cellClass(column) }, h("div", {}, column.cell(row)));

const cellClass = (column) => ["number", "tight", "wide", "breaks"].filter((name) => column[name]).join(" ") || null;

/** A note where a list was too long to load all of it; the newest row comes first, `timeOf(row)` is its time. */
export const cutNote = (items, timeOf) =>
  items.isCut
    ? note(`Only the newest ${number(items.length)} rows are shown, since ${moment(timeOf(items.at(-1)))}.`)
    : null;

export const buildingLink = (id) =>
  id === null ? "not known" : h("a", { href: `#/buildings/${encodeURIComponent(id)}` }, id);

export function subjectLink({ scope, subject }) {
  if (scope === "building") return buildingLink(subject);
  if (scope === "device")
    return subject.includes("/")
      ? h("a", { href: `#/devices?building_id=${encodeURIComponent(subject.split("/")[0])}` }, subject)
      : subject;
  return subject === "fleet" ? "all buildings" : subject;
}
