// Pipeline health: do the streaming queries keep up?

import { all } from "../api.js";
import { lineChart } from "../charts/lines.js";
import * as clock from "../clock.js";
import { h } from "../dom.js";
import { choice } from "../controls.js";
import { MINUTELY, badge, card, cutNote, pageHead, part, table } from "../parts.js";
import { agoSeconds, number } from "../words.js";
import { bySubject, markOf } from "./series.js";

const RANGES = [
  ["1", "24 hours"],
  ["7", "7 days"],
  ["28", "28 days"],
];
const EVERY_MINUTES = { 1: null, 7: 60, 28: 240 }; // a point of each query, so that a range is read as a whole
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
const SILENT_AFTER_S = 30 * 60;
const DAY_MS = 86400000;
const NONE = "No query has reported yet: the monitor writes down the progress of each.";

export default function pipeline(context) {
  const days = () => context.chosen("days", RANGES, "7");
  const now = part({
    empty: NONE,
    now: clock.minute,
    load: async (signal) =>
      (
        await Promise.all([CHECK_IN, ...MEASURES.map(([measure]) => measure)].map((each) => newest(each, signal)))
      ).flat(),
    draw: (items) => items.length && queryTable(items),
  });
  const lines = MEASURES.map(([measure, title, unit, says]) => [
    title,
    says,
    part({
      empty: NONE,
      everyMs: MINUTELY,
      load: (signal) => course(measure, days(), signal),
      draw: (items) =>
        items.length && [
          lineChart({ title, unit, zone: "UTC", height: 220, series: marked(items) }),
          cutNote(items, (row) => row.measured_at),
        ],
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
        h("div", { class: "controls" }, choice("Time", RANGES, days(), change)),
      ),
      card("Queries now", null, now.element),
      ...lines.map(([title, says, each]) => card(title, says, each.element)),
    ],
  };
}

const newest = (measure, signal) => all("/v1/health", { measure, scope: "query", latest: true }, { signal });

/** A measure of the days until it was last measured: queries report by the machine's clock, in a replay as well. */
async function course(measure, days, signal) {
  const last = (await newest(measure, signal)).map((row) => Date.parse(row.measured_at));
  if (!last.length) return [];
  const from = new Date(Math.max(...last) - days * DAY_MS).toISOString();
  const wanted = { measure, scope: "query", clock: "measured_at", every: EVERY_MINUTES[days], from };
  return all("/v1/health", wanted, { signal });
}

const marked = (items) => bySubject(items, (row) => row.measured_at).map((line, i) => ({ ...line, mark: markOf(i) }));

function queryTable(items) {
  const queries = [...new Set(items.map(({ subject }) => subject))].sort();
  const find = (name, measure) => items.find((item) => item.subject === name && item.measure === measure);
  const silent = (name) => {
    const own = items.filter(({ subject, measure }) => subject === name && measure !== CHECK_IN);
    const checked = find(name, CHECK_IN);
    const ages = own.map(clock.measuredAge);
    return Math.min(...ages, ...(checked ? [60 * checked.value + clock.measuredAge(checked)] : []));
  };
  const state = (name) => (silent(name) > SILENT_AFTER_S ? badge("bad", "Not reporting") : badge("good", "Reporting"));
  return table(
    "Queries",
    [
      { name: "Query", cell: (name) => name },
      { name: "State", cell: state },
      { name: "Lag, records", number: true, cell: (name) => number(find(name, "stream_lag_records")?.value) },
      { name: "Rows per second", number: true, cell: (name) => number(find(name, "rows_per_second")?.value) },
      { name: "Time of a batch", number: true, cell: (name) => number(find(name, "batch_seconds")?.value, "s") },
      { name: "Reported", cell: (name) => agoSeconds(silent(name)) },
    ],
    queries,
  );
}
