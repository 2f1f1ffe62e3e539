// The list of all buildings, with a search.

import { get } from "../api.js";
import * as clock from "../clock.js";
import { field } from "../controls.js";
import { h } from "../dom.js";
import { ago, number } from "../formats.js";
import { METHODS, words } from "../labels.js";
import { pagedPanel } from "../panel.js";
import { badge, buildingLink, card, table } from "../parts.js";

const PAGE_ROWS = 25;

const COLUMNS = [
  { name: "Building", cell: ({ building_id: id }) => buildingLink(id) },
  {
    name: "Type and site",
    tight: true,
    cell: (row) => [words(row.building_type), row.site].filter(Boolean).join(", ") || "not known",
  },
  { name: "Last reading", tight: true, cell: (row) => ago(row.last_reading_at, clock.now()) },
  { name: "Forecast method", cell: ({ method }) => methodCell(method) },
  { name: "Warnings", cell: ({ warnings }) => (warnings?.length ? warnings.map(words).join(", ") : "none") },
  { name: "Alerts", number: true, cell: (row) => (row.open_alerts ? badge("bad", number(row.open_alerts)) : "0") },
];

function methodCell(method) {
  if (!method) return "none yet";
  return method === "model" ? METHODS.model : badge("warn", METHODS[method] ?? method);
}

export function buildingList(context) {
  const { query } = context;
  const rows = pagedPanel({
    empty: "No building matches the search.",
    now: clock.minute,
    fetchPage: (cursor, signal) =>
      get("/v1/buildings", { search: query.get("search"), limit: PAGE_ROWS, cursor }, { signal }),
    draw: (items) => table("Buildings", COLUMNS, items),
  });
  const search = field("Search by id", query.get("search") ?? "", (text) => {
    context.remember({ search: text });
    rows.restart();
  });
  return { element: card("Buildings", null, h("div", { class: "controls" }, search), rows.element), panel: rows };
}
