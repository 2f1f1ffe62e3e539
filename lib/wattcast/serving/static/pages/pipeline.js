// The streaming queries: whether they keep up with their input.

import { all } from "../api.js";
import { lineChart } from "../charts/lines.js";
import * as clock from "../clock.js";
import { choice } from "../controls.js";
import { h } from "../dom.js";
import { agoSeconds, number } from "../formats.js";
import { MINUTELY, panel } from "../panel.js";
import { badge, card, cutNote, pageHead, table } from "../parts.js";
import { latestOf, markedSeries } from "./measurements.js";

const RANGES = [
  ["1", "24 hours"],
  ["7", "7 days"],
  ["28", "28 days"],
];
const EVERY_MINUTES = { 1: null, 7: 60, 28: 240 }; // between two points, so that a range fits into the pages that are loaded
const CHARTS = [
  {
    measure: "stream_lag_records",
    title: "Lag: unread records",
    unit: "",
    explanation: "Records in Kafka that the query has not read yet. The lag should fall again after each rise.",
  },
  {
    measure: "rows_per_second",
    title: "Rows per second",
    unit: "",
    explanation: "How many rows a query processes per second.",
  },
  {
    measure: "batch_seconds",
    title: "Batch duration",
    unit: "s",
    explanation: "How long a micro-batch takes. If it stays above the trigger interval, the lag grows.",
  },
];
const CHECK_IN = "check_in_minutes";
const MAX_SILENCE_S = 30 * 60;
const DAY_MS = 86400000;
const NO_PROGRESS = "No query has reported its progress yet. The monitor job records the progress of each query.";

const timeOf = (row) => row.measured_at;

export default function pipeline(context) {
  const days = () => context.selected("days", RANGES, "7");
  const queries = panel({ empty: NO_PROGRESS, now: clock.minute, load: latestProgress, draw: queryTable });
  const charts = CHARTS.map((chart) => chartPanel(chart, days));
  const changeDays = (value) => {
    context.remember({ days: value });
    charts.forEach((chart) => chart.refresh());
  };
  return {
    title: "Pipeline",
    panels: [queries, ...charts],
    elements: [
      pageHead(
        "Pipeline",
        "The streaming queries from Kafka to the forecasts: whether they keep up with their input, and how fast they are.",
        h("div", { class: "controls" }, choice("Period", RANGES, days(), changeDays)),
      ),
      card("Queries now", null, queries.element),
      ...CHARTS.map(({ title, explanation }, i) => card(title, explanation, charts[i].element)),
    ],
  };
}

const latestProgress = async (signal) =>
  (
    await Promise.all([CHECK_IN, ...CHARTS.map(({ measure }) => measure)].map((name) => latestOf(name, "query", signal)))
  ).flat();

const chartPanel = ({ measure, title, unit }, days) =>
  panel({
    empty: NO_PROGRESS,
    everyMs: MINUTELY,
    load: (signal) => progressHistory(measure, days(), signal),
    draw: (items) =>
      items.length && [
        lineChart({ title, unit, zone: "UTC", height: 220, series: markedSeries(items, timeOf) }),
        cutNote(items, timeOf),
      ],
  });

/** A measure over the days before its latest value. Queries report by the clock of the machine, also in a replay. */
async function progressHistory(measure, days, signal) {
  const times = (await latestOf(measure, "query", signal)).map((row) => Date.parse(timeOf(row)));
  if (!times.length) return [];
  const from = new Date(Math.max(...times) - days * DAY_MS).toISOString();
  const parameters = { measure, scope: "query", clock: "measured_at", every: EVERY_MINUTES[days], from };
  return all("/v1/health", parameters, { signal });
}

function queryTable(items) {
  if (!items.length) return null;
  const queries = [...new Set(items.map(({ subject }) => subject))].sort();
  const value = (query, measure) => progressOf(items, query, measure)?.value;
  return table(
    "Queries",
    [
      { name: "Query", cell: (query) => query },
      { name: "State", cell: (query) => stateBadge(silenceSeconds(items, query)) },
      { name: "Lag, records", number: true, cell: (query) => number(value(query, "stream_lag_records")) },
      { name: "Rows per second", number: true, cell: (query) => number(value(query, "rows_per_second")) },
      { name: "Batch duration", number: true, cell: (query) => number(value(query, "batch_seconds"), "s") },
      { name: "Last report", cell: (query) => agoSeconds(silenceSeconds(items, query)) },
    ],
    queries,
  );
}

const progressOf = (items, query, measure) =>
  items.find((item) => item.subject === query && item.measure === measure);

const stateBadge = (silence) =>
  silence > MAX_SILENCE_S ? badge("bad", "Not reporting") : badge("good", "Reporting");

/** The time since the query last reported its progress or checked in. */
function silenceSeconds(items, query) {
  const progress = items.filter(({ subject, measure }) => subject === query && measure !== CHECK_IN);
  const checkIn = progressOf(items, query, CHECK_IN);
  const ages = progress.map(clock.measurementAge);
  return Math.min(...ages, ...(checkIn ? [60 * checkIn.value + clock.measurementAge(checkIn)] : []));
}
