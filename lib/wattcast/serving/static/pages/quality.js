// Data quality: how whole the hours are, what was rejected and why.

import { ApiError, all, get } from "../api.js";
import { heatmap } from "../charts/heat.js";
import { lineChart } from "../charts/lines.js";
import { bars } from "../charts/small.js";
import * as clock from "../clock.js";
import { h } from "../dom.js";
import { choice, field, select } from "../controls.js";
import { MINUTELY, badge, buildingLink, card, pageHead, pages, part, table } from "../parts.js";
import { agoSeconds, brokenRule, day, moment, number, percent } from "../words.js";
import { byDay } from "./series.js";

const RANGES = [
  ["1", "24 hours"],
  ["7", "7 days"],
  ["28", "28 days"],
];
const WHOLE = [
  [0.999, "h-0"],
  [0.98, "h-1"],
  [0.95, "h-2"],
  [0.9, "h-3"],
  [0.75, "h-4"],
  [0.5, "h-5"],
];
const ROWS = 14;
const DAY_MINUTES = 24 * 60;

export default function quality(context) {
  const { query } = context;
  const days = () => Number(context.chosen("days", RANGES, "7"));
  const filters = () => ({
    rule: query.get("rule"),
    building_id: query.get("building_id"),
    device_id: query.get("device_id"),
    from: clock.since(days()),
  });
  const summary = part({
    empty: "Nothing was rejected in this time.",
    load: async (signal) => (await get("/v1/rejected/summary", { from: clock.since(days()) }, { signal })).items,
    draw: (items) =>
      items.length &&
      bars(
        "Rejected records by rule",
        items
          .sort((a, b) => b.records - a.records)
          .map(({ rule, records }) => ({ name: brokenRule(rule), value: records, mark: "bad", text: number(records) })),
        { valueName: "Records" },
      ),
  });
  const share = part({
    empty: "The monitor has not measured it yet: run the job monitor.",
    everyMs: MINUTELY,
    load: (signal) =>
      all(
        "/v1/health",
        {
          measure: "rejected_share",
          scope: "fleet",
          every: days() > 7 ? 240 : 60,
          from: clock.since(Math.max(7, days())),
        },
        { signal },
      ),
    draw: (items) =>
      items.length &&
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
      }),
  });
  const whole = part({
    empty: "The monitor has not measured it yet: run the job monitor.",
    everyMs: MINUTELY,
    load: async (signal) => {
      const measure = { measure: "completeness", scope: "building" };
      const newest = await all("/v1/health", { ...measure, latest: true }, { signal });
      const least = newest.sort((a, b) => a.value - b.value).slice(0, ROWS);
      const from = clock.since(Math.max(14, days()));
      return (
        await Promise.all(
          least.map(({ subject }) => all("/v1/health", { ...measure, subject, every: DAY_MINUTES, from }, { signal })),
        )
      ).flat();
    },
    draw: (items) => items.length && completeness(items),
  });
  const contracts = part({
    empty: "The contracts have not been checked yet: run the job monitor.",
    now: clock.minute,
    load: (signal) => all("/v1/health", { measure: "contract_failures", scope: "table", latest: true }, { signal }),
    draw: (items) =>
      items.length &&
      table(
        "Contracts",
        [
          { name: "Table", cell: ({ subject }) => subject },
          {
            name: "Contract",
            cell: ({ value }) => (value ? badge("bad", `${number(value)} broken`) : badge("good", "Kept")),
          },
          { name: "Checked", tight: true, cell: (row) => agoSeconds(clock.measuredAge(row)) },
        ],
        items,
      ),
  });
  const list = pages({
    empty: "No rejected reading matches.",
    fetchPage: (cursor, signal) => get("/v1/rejected", { ...filters(), limit: 25, cursor }, { signal }),
    draw: rejectedTable,
  });
  const change =
    (name, ...parts) =>
    (value) => {
      context.remember({ [name]: value });
      list.restart();
      parts.forEach((each) => each.refresh());
    };
  return {
    title: "Data quality",
    parts: [summary, share, whole, contracts, list],
    elements: [
      pageHead(
        "Data quality",
        "Every record that arrives is kept, accepted or rejected with all the rules that it broke.",
        h("div", { class: "controls" }, choice("Time", RANGES, String(days()), change("days", summary, share, whole))),
      ),
      h(
        "div",
        { class: "columns" },
        card("Why records were rejected", null, summary.element),
        card("Rejected over time", null, share.element),
      ),
      h(
        "div",
        { class: "columns lead" },
        card("Whole hours by building and day", `The ${ROWS} buildings that have the most gaps now`, whole.element),
        card("Contracts of the tables", null, contracts.element),
      ),
      card(
        "Rejected readings",
        "Newest first",
        h(
          "div",
          { class: "controls" },
          ruleSelect(context, change("rule")),
          field("Building id", query.get("building_id") ?? "", change("building_id")),
          field("Device id", query.get("device_id") ?? "", change("device_id")),
        ),
        list.element,
      ),
    ],
  };
}

/** The rules that were broken in the last weeks, to choose from. */
function ruleSelect(context, changed) {
  const chosen = context.query.get("rule") ?? "";
  const element = select("Rule", [["", "All"], ...(chosen ? [[chosen, brokenRule(chosen)]] : [])], chosen, changed);
  let filling = null;
  const fill = async () => {
    const { items } = await get("/v1/rejected/summary", { from: clock.since(28) });
    const others = items.map(({ rule }) => rule).filter((rule) => rule !== chosen);
    element.querySelector("select").append(...others.map((rule) => h("option", { value: rule }, brokenRule(rule))));
  };
  element.addEventListener("focusin", () => {
    filling ??= fill().catch((error) => {
      if (!(error instanceof ApiError)) throw error;
      filling = null; // where the server did not answer, the next focus asks again
    });
  });
  return element;
}

function completeness(items) {
  const { days, subjects, values } = byDay(items);
  const mean = (row) =>
    row.filter(Number.isFinite).reduce((a, b) => a + b, 0) / Math.max(1, row.filter(Number.isFinite).length);
  const order = subjects.map((_, i) => i).sort((a, b) => mean(values[a]) - mean(values[b]));
  return heatmap({
    title: "Share of hours that are there and whole",
    rows: order.map((i) => subjects[i]),
    columns: days.map((each) => day(each)),
    values: order.map((i) => values[i].map((value) => (Number.isFinite(value) ? 1 - value : null))),
    steps: WHOLE.map(([limit]) => 1 - limit),
    format: (missing) => (Number.isFinite(missing) ? percent(1 - missing) : "not known"),
    legend: [
      { name: "all", mark: "h-0" },
      { name: "95 %", mark: "h-2" },
      { name: "75 %", mark: "h-4" },
      { name: "fewer", mark: "h-6" },
    ],
  });
}

function rejectedTable(items) {
  const where = (row) => `${row.kafka_topic} ${row.kafka_partition}:${row.kafka_offset}`;
  return table(
    "Rejected readings",
    [
      { name: "Arrived", tight: true, cell: (row) => moment(row.kafka_timestamp) },
      { name: "Building", cell: (row) => (row.building_id ? buildingLink(row.building_id) : "not readable") },
      { name: "Device", breaks: true, cell: (row) => row.device_id ?? "–" },
      {
        name: "Why",
        cell: (row) =>
          h(
            "ul",
            {},
            row.rejected_for.map((rule) => h("li", {}, brokenRule(rule))),
          ),
      },
      {
        name: "As it was sent",
        wide: true,
        cell: (row) =>
          h(
            "details",
            { data: { key: where(row) } },
            h("summary", {}, `Payload, ${number(row.payload_bytes)} bytes`),
            h("pre", { tabindex: "0" }, row.payload ?? ""),
          ),
      },
      { name: "Topic, partition and offset", cell: (row) => h("span", { class: "mono small" }, where(row)) },
    ],
    items,
  );
}
