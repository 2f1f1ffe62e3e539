// Pipeline health: do the streaming queries keep up?

import { all } from "../api.js";
import { lineChart } from "../charts/lines.js";
import { h } from "../dom.js";
import { choice } from "../controls.js";
import { badge, card, pageHead, part, table } from "../parts.js";
import { duration, number } from "../words.js";
import { bySubject } from "./series.js";

const RANGES = [
  ["1", "24 hours"],
  ["7", "7 days"],
  ["28", "28 days"],
];
const MEASURES = [
  [
    "stream_lag_records",
    "Lag: records that wait",
    "",
    "Records in Kafka that the query has not read yet. It should come down again after each rise.",
  ],
  ["rows_per_second", "Rows per second", "", "How fast a query works through what has arrived."],
  [
    "batch_seconds",
    "Time of a batch",
    "s",
    "How long a micro-batch takes. Where it stays above the trigger's interval, lag grows.",
  ],
];
const CHECK_IN = "check_in_minutes";
const SILENT_AFTER_MINUTES = 30;
const NONE = "No query has reported yet: the monitor writes down the progress of each.";

export default function pipeline(context) {
  const { query } = context;
  const days = () => Number(query.get("days") ?? 7);
  const now = part({
    empty: NONE,
    now: context.asOf,
    load: async (signal) =>
      (
        await Promise.all(
          [CHECK_IN, ...MEASURES.map(([measure]) => measure)].map((measure) =>
            all("/v1/health", { measure, scope: "query", latest: true }, { signal }),
          ),
        )
      ).flat(),
    draw: (items) => items.length && queryTable(items, context.asOf()),
  });
  const lines = MEASURES.map(([measure, title, unit, says]) => [
    title,
    says,
    part({
      empty: NONE,
      load: (signal) => all("/v1/health", { measure, scope: "query", from: context.since(days()) }, { signal }),
      draw: (items) =>
        items.length &&
        lineChart({
          title,
          unit,
          zone: "UTC",
          height: 220,
          series: bySubject(items).map((line, i) => ({ ...line, mark: `s-${(i % 5) + 1}` })),
        }),
    }),
  ]);
  const charts = lines.map(([, , each]) => each);
  const change = (value) => {
    context.remember({ days: value });
    charts.forEach((each) => each.refresh());
  };
  return {
    title: "Pipeline",
    parts: [now, ...charts],
    elements: [
      pageHead(
        "Pipeline",
        "The streaming queries from Kafka to the forecasts: whether they keep up, and how fast they work.",
        h("div", { class: "controls" }, choice("Time", RANGES, String(days()), change)),
      ),
      card("Queries now", null, now.element),
      ...lines.map(([title, says, each]) => card(title, says, each.element)),
    ],
  };
}

function queryTable(items, asOf) {
  const queries = [...new Set(items.map(({ subject }) => subject))].sort();
  const find = (name, measure) => items.find((item) => item.subject === name && item.measure === measure);
  const newest = (name) =>
    items
      .filter(({ subject }) => subject === name)
      .map((item) => item.as_of)
      .sort()
      .at(-1);
  const silent = (name) => find(name, CHECK_IN)?.value ?? (asOf - new Date(newest(name))) / 60000;
  const state = (name) =>
    silent(name) > SILENT_AFTER_MINUTES ? badge("bad", "Not reporting") : badge("good", "Reporting");
  return table(
    "Queries",
    [
      { name: "Query", cell: (name) => name },
      { name: "State", cell: state },
      { name: "Lag, records", number: true, cell: (name) => number(find(name, "stream_lag_records")?.value) },
      { name: "Rows per second", number: true, cell: (name) => number(find(name, "rows_per_second")?.value) },
      { name: "Time of a batch", number: true, cell: (name) => number(find(name, "batch_seconds")?.value, "s") },
      { name: "Reported", cell: (name) => `${duration(60 * silent(name))} ago` },
    ],
    queries,
  );
}
