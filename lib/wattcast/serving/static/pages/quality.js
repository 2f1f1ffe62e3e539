// Data quality: completeness of the hours, rejected readings and their reasons, and data contracts.

import { all, get } from "../api.js";
import { lineChart } from "../charts/lines.js";
import { bars } from "../charts/small.js";
import * as clock from "../clock.js";
import { choice } from "../controls.js";
import { h } from "../dom.js";
import { agoSeconds, number, percent } from "../formats.js";
import { rejectionRule } from "../labels.js";
import { MINUTELY, panel } from "../panel.js";
import { badge, card, pageHead, table } from "../parts.js";
import { MAX_BUILDINGS, completenessPanel } from "./completeness.js";
import { NOT_MEASURED, latestOf } from "./measurements.js";
import { rejectedControls, rejectedPanel } from "./rejected.js";

const RANGES = [
  ["1", "24 hours"],
  ["7", "7 days"],
  ["28", "28 days"],
];
const MIN_CHART_DAYS = 7;

export default function quality(context) {
  const days = () => Number(context.selected("days", RANGES, "7"));
  const byRule = byRulePanel(days);
  const share = rejectedSharePanel(days);
  const completeness = completenessPanel(days);
  const contracts = contractsPanel();
  const rejected = rejectedPanel(context, days);
  const changeDays = (value) => {
    context.remember({ days: value });
    rejected.restart();
    [byRule, share, completeness].forEach((changed) => changed.refresh());
  };
  const completenessNote = `The ${MAX_BUILDINGS} buildings with the most gaps now`;
  return {
    title: "Data quality",
    panels: [byRule, share, completeness, contracts, rejected],
    elements: [
      pageHead(
        "Data quality",
        "Every record that arrives is stored, either as accepted or as rejected with every rule that it broke.",
        h("div", { class: "controls" }, choice("Period", RANGES, String(days()), changeDays)),
      ),
      h(
        "div",
        { class: "columns" },
        card("Why records were rejected", null, byRule.element),
        card("Rejected over time", null, share.element),
      ),
      h(
        "div",
        { class: "columns lead" },
        card("Complete hours by building and day", completenessNote, completeness.element),
        card("Contracts of the tables", null, contracts.element),
      ),
      card("Rejected readings", "Newest first", rejectedControls(context, rejected), rejected.element),
    ],
  };
}

const byRulePanel = (days) =>
  panel({
    empty: "No records were rejected in this time.",
    load: async (signal) => (await get("/v1/rejected/summary", { from: clock.since(days()) }, { signal })).items,
    draw: (items) => items.length && ruleBars(items),
  });

const ruleBars = (items) =>
  bars(
    "Rejected records by rule",
    items
      .sort((a, b) => b.records - a.records)
      .map(({ rule, records }) => ({ name: rejectionRule(rule), value: records, mark: "bad", text: number(records) })),
    { valueName: "Records" },
  );

const rejectedSharePanel = (days) =>
  panel({
    empty: NOT_MEASURED,
    everyMs: MINUTELY,
    load: (signal) => {
      const every = days() > MIN_CHART_DAYS ? 240 : 60;
      const from = clock.since(Math.max(MIN_CHART_DAYS, days()));
      return all("/v1/health", { measure: "rejected_share", scope: "fleet", every, from }, { signal });
    },
    draw: (items) => items.length && shareChart(items),
  });

const shareChart = (items) =>
  lineChart({
    title: "Share of records that were rejected",
    zone: "UTC",
    height: 190,
    format: percent,
    series: [
      {
        name: "Rejected",
        mark: "s-2",
        points: items.map(({ as_of: at, value }) => [Date.parse(at), value]).sort(([a], [b]) => a - b),
      },
    ],
  });

const CONTRACT_COLUMNS = [
  { name: "Table", cell: ({ subject }) => subject },
  {
    name: "Contract",
    cell: ({ value }) => (value ? badge("bad", `${number(value)} broken`) : badge("good", "Passed")),
  },
  { name: "Checked", tight: true, cell: (row) => agoSeconds(clock.measurementAge(row)) },
];

const contractsPanel = () =>
  panel({
    empty: "The contracts have not been checked yet: start the monitor job.",
    now: clock.minute,
    load: (signal) => latestOf("contract_failures", "table", signal),
    draw: (items) => items.length && table("Contracts", CONTRACT_COLUMNS, items),
  });
