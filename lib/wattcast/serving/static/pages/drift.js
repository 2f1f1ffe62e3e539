// Drift: are inputs, errors and bands still like those that the model was made with?

import { all } from "../api.js";
import { heatmap } from "../charts/heat.js";
import { lineChart } from "../charts/lines.js";
import { since } from "../clock.js";
import { h } from "../dom.js";
import { choice } from "../controls.js";
import { MINUTELY, badge, buildingLink, card, cutNote, pageHead, part, table } from "../parts.js";
import { day, fieldName, number, percent } from "../words.js";
import { byDay, bySubject, markOf } from "./series.js";

const RANGES = [
  ["14", "14 days"],
  ["28", "28 days"],
  ["90", "90 days"],
];
const PSI = [0.02, 0.05, 0.1, 0.2, 0.35, 0.5];
const MARKS = { energy_usage_kwh: "s-1", temperature_c: "s-2", occupancy: "s-3", humidity_pct: "s-4" };
const WORST = 12;
const EVERY_MINUTES = { 14: 120, 28: 240, 90: 720 };
const NONE = "The monitor has not measured it yet: run the job monitor.";

export default function drift(context) {
  const days = () => context.chosen("days", RANGES, "28");
  const health =
    (measure, scope, extra = {}) =>
    (signal) =>
      all(
        "/v1/health",
        { measure, scope, every: EVERY_MINUTES[days()], from: since(Number(days())), ...extra },
        { signal },
      );
  const drawn = (load, draw) =>
    part({
      empty: NONE,
      everyMs: MINUTELY,
      load,
      draw: (items) => items.length && [draw(items), cutNote(items, (row) => row.as_of)],
    });
  const inputs = drawn(health("input_drift_psi", "feature"), featureHeat);
  const distances = drawn(health("input_drift_ks", "feature"), (items) =>
    lineChart({
      title: "Kolmogorov-Smirnov distance by input",
      zone: "UTC",
      height: 210,
      series: bySubject(items).map((line) => ({
        ...line,
        name: fieldName(line.name),
        mark: MARKS[line.name] ?? "s-5",
      })),
    }),
  );
  const coverage = drawn(health("interval_coverage", "fleet"), (items) =>
    lineChart({
      title: "Actuals within P10 to P90",
      zone: "UTC",
      height: 210,
      format: (value) => percent(value, 0),
      fromZero: false,
      references: [{ at: 0.8, label: "should be" }],
      series: bySubject(items).map((line) => ({ ...line, name: "All buildings", mark: "s-1" })),
    }),
  );
  const errors = part({
    empty: NONE,
    everyMs: MINUTELY,
    load: async (signal) => ({
      distances: await health("residual_drift_ks", "model")(signal),
      biases: await health("residual_bias", "model")(signal),
    }),
    draw: ({ distances: ks, biases }) =>
      (ks.length || biases.length) && [
        lineChart({
          title: "Errors of 7 days against those before (KS distance)",
          zone: "UTC",
          height: 170,
          series: marked(ks),
        }),
        lineChart({
          title: "Mean error over mean energy",
          zone: "UTC",
          height: 170,
          format: percent,
          series: marked(biases),
        }),
      ],
  });
  const buildings = drawn(
    (signal) =>
      Promise.all(
        ["residual_bias", "residual_drift_ks", "interval_coverage"].map((measure) =>
          all("/v1/health", { measure, scope: "building", latest: true }, { signal }),
        ),
      ).then((all) => all.flat()),
    buildingTable,
  );
  const parts = [inputs, distances, coverage, errors, buildings];
  const change = (value) => {
    context.remember({ days: value });
    parts.forEach((each) => each.refresh());
  };
  return {
    title: "Drift",
    parts,
    elements: [
      pageHead(
        "Drift",
        "Whether inputs, errors and bands are still like those that the model was made with. Drift asks for a look, and for a new model where it stays.",
        h("div", { class: "controls" }, choice("Time", RANGES, days(), change)),
      ),
      card(
        "Inputs against the model's training data",
        "Population stability index: below 0.1 alike, above 0.2 another distribution",
        inputs.element,
      ),
      h(
        "div",
        { class: "columns" },
        card("How far inputs have moved", null, distances.element),
        card("Calibration", null, coverage.element),
      ),
      h(
        "div",
        { class: "columns" },
        card("Errors of the models", null, errors.element),
        card("Buildings that have moved most", "The newest value of each", buildings.element),
      ),
    ],
  };
}

const marked = (items) => bySubject(items).map((line, i) => ({ ...line, mark: markOf(i) }));

function featureHeat(items) {
  const { days, subjects, values } = byDay(items);
  return heatmap({
    title: "Population stability index by input and day",
    rows: subjects.map(fieldName),
    columns: days.map((each) => day(each)),
    values,
    steps: PSI,
    format: (value) => (Number.isFinite(value) ? number(value) : "not known"),
    legend: [
      { name: "alike", mark: "h-0" },
      { name: "0.1", mark: "h-3" },
      { name: "0.2", mark: "h-4" },
      { name: "0.5 and more", mark: "h-6" },
    ],
  });
}

function buildingTable(items) {
  const of = (measure) =>
    new Map(items.filter((item) => item.measure === measure).map(({ subject, value }) => [subject, value]));
  const [bias, distance, coverage] = ["residual_bias", "residual_drift_ks", "interval_coverage"].map(of);
  const ids = [...new Set(items.map(({ subject }) => subject))]
    .sort((a, b) => Math.abs(bias.get(b) ?? 0) - Math.abs(bias.get(a) ?? 0))
    .slice(0, WORST);
  const off = (share) => Number.isFinite(share) && Math.abs(share - 0.8) > 0.15;
  return table(
    "Buildings that have moved most",
    [
      { name: "Building", cell: buildingLink },
      { name: "Mean error", number: true, cell: (id) => percent(bias.get(id)) },
      { name: "KS distance", number: true, cell: (id) => number(distance.get(id)) },
      {
        name: "P10 to P90",
        number: true,
        cell: (id) => (off(coverage.get(id)) ? badge("warn", percent(coverage.get(id))) : percent(coverage.get(id))),
      },
    ],
    ids,
  );
}
