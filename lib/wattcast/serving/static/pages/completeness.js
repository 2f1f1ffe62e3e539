// Completeness: the share of complete hours by building and day.

import { all } from "../api.js";
import { heatmap } from "../charts/heat.js";
import * as clock from "../clock.js";
import { day, percent } from "../formats.js";
import { MINUTELY, panel } from "../panel.js";
import { NOT_MEASURED, byDay, latestOf } from "./measurements.js";

export const MAX_BUILDINGS = 14;
const MIN_DAYS = 14;
const DAY_MINUTES = 24 * 60;
const STEPS = [0.999, 0.98, 0.95, 0.9, 0.75, 0.5]; // limits of the shares, from good to bad

export const completenessPanel = (days) =>
  panel({
    empty: NOT_MEASURED,
    everyMs: MINUTELY,
    load: async (signal) => {
      const latest = await latestOf("completeness", "building", signal);
      const worst = latest.sort((a, b) => a.value - b.value).slice(0, MAX_BUILDINGS);
      const from = clock.since(Math.max(MIN_DAYS, days()));
      const histories = worst.map(({ subject }) => dailyCompleteness(subject, from, signal));
      return (await Promise.all(histories)).flat();
    },
    draw: (items) => items.length && completenessHeatmap(items),
  });

const dailyCompleteness = (subject, from, signal) =>
  all(
    "/v1/health",
    { measure: "completeness", scope: "building", subject, every: DAY_MINUTES, from },
    { signal },
  );

function completenessHeatmap(items) {
  const { days, subjects, values } = byDay(items);
  const order = subjects.map((_, i) => i).sort((a, b) => meanOf(values[a]) - meanOf(values[b]));
  return heatmap({
    title: "Share of complete hours",
    rows: order.map((i) => subjects[i]),
    columns: days.map((date) => day(date)),
    values: order.map((i) => values[i].map((value) => (Number.isFinite(value) ? 1 - value : null))),
    steps: STEPS.map((limit) => 1 - limit),
    format: (missing) => (Number.isFinite(missing) ? percent(1 - missing) : "not known"),
    legend: [
      { name: "100 %", mark: "h-0" },
      { name: "95 %", mark: "h-2" },
      { name: "75 %", mark: "h-4" },
      { name: "less", mark: "h-6" },
    ],
  });
}

function meanOf(row) {
  const finite = row.filter(Number.isFinite);
  return finite.reduce((a, b) => a + b, 0) / Math.max(1, finite.length);
}
