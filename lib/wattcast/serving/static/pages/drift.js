// Drift: whether inputs, errors and forecast bands still resemble those of the model's training.

import { all } from "../api.js";
import { heatmap } from "../charts/heat.js";
import { lineChart } from "../charts/lines.js";
import { since } from "../clock.js";
import { choice } from "../controls.js";
import { h } from "../dom.js";
import { day, number, percent } from "../formats.js";
import { fieldLabel } from "../labels.js";
import { MINUTELY, panel } from "../panel.js";
import { badge, buildingLink, card, cutNote, pageHead, table } from "../parts.js";
import { NOT_MEASURED, byDay, bySubject, latestOf, markedSeries } from "./measurements.js";

const RANGES = [
  ["14", "14 days"],
  ["28", "28 days"],
  ["90", "90 days"],
];
const EVERY_MINUTES = { 14: 120, 28: 240, 90: 720 };
const PSI_STEPS = [0.02, 0.05, 0.1, 0.2, 0.35, 0.5];
const MARKS = { energy_usage_kwh: "s-1", temperature_c: "s-2", occupancy: "s-3", humidity_pct: "s-4" };
const MAX_BUILDINGS = 12;
const INTRODUCTION =
  "Whether inputs, errors and forecast bands still resemble those of the model's training. Find the cause of drift, and train a " +
  "new model if it persists.";
const EXPECTED_COVERAGE = 0.8;
const COVERAGE_TOLERANCE = 0.15;

export default function drift(context) {
  const days = () => context.selected("days", RANGES, "28");
  const history = (measure, scope) => (signal) =>
    all("/v1/health", { measure, scope, every: EVERY_MINUTES[days()], from: since(Number(days())) }, { signal });
  const inputs = driftPanel(history("input_drift_psi", "feature"), inputHeatmap);
  const distances = driftPanel(history("input_drift_ks", "feature"), distanceChart);
  const coverage = driftPanel(history("interval_coverage", "fleet"), coverageChart);
  const errors = errorsPanel(history);
  const buildings = driftPanel(latestOfBuildings, buildingTable);
  const panels = [inputs, distances, coverage, errors, buildings];
  const changeDays = (value) => {
    context.remember({ days: value });
    panels.forEach((changed) => changed.refresh());
  };
  return {
    title: "Drift",
    panels,
    elements: [
      pageHead(
        "Drift",
        INTRODUCTION,
        h("div", { class: "controls" }, choice("Period", RANGES, days(), changeDays)),
      ),
      card(
        "Inputs compared with the model's training data",
        "Population stability index: below 0.1 similar, above 0.2 different",
        inputs.element,
      ),
      columns(card("Distance of the inputs", null, distances.element), card("Calibration", null, coverage.element)),
      columns(
        card("Errors of the models", null, errors.element),
        card("Buildings with the largest drift", "The latest value of each", buildings.element),
      ),
    ],
  };
}

const columns = (...cards) => h("div", { class: "columns" }, cards);

const driftPanel = (load, draw) =>
  panel({
    empty: NOT_MEASURED,
    everyMs: MINUTELY,
    load,
    draw: (items) => items.length && [draw(items), cutNote(items, (row) => row.as_of)],
  });

const errorsPanel = (history) =>
  panel({
    empty: NOT_MEASURED,
    everyMs: MINUTELY,
    load: async (signal) => ({
      distances: await history("residual_drift_ks", "model")(signal),
      biases: await history("residual_bias", "model")(signal),
    }),
    draw: ({ distances, biases }) => (distances.length || biases.length) && errorCharts(distances, biases),
  });

const errorCharts = (distances, biases) => [
  lineChart({
    title: "Errors of 7 days compared with those before (KS distance)",
    zone: "UTC",
    height: 170,
    series: markedSeries(distances),
  }),
  lineChart({
    title: "Mean error over mean energy",
    zone: "UTC",
    height: 170,
    format: percent,
    series: markedSeries(biases),
  }),
];

const distanceChart = (items) =>
  lineChart({
    title: "Kolmogorov-Smirnov distance by input",
    zone: "UTC",
    height: 210,
    series: bySubject(items).map((line) => ({
      ...line,
      name: fieldLabel(line.name),
      mark: MARKS[line.name] ?? "s-5",
    })),
  });

const coverageChart = (items) =>
  lineChart({
    title: "Actuals within P10 to P90",
    zone: "UTC",
    height: 210,
    format: (value) => percent(value, 0),
    fromZero: false,
    references: [{ at: EXPECTED_COVERAGE, label: "expected" }],
    series: bySubject(items).map((line) => ({ ...line, name: "All buildings", mark: "s-1" })),
  });

function inputHeatmap(items) {
  const { days, subjects, values } = byDay(items);
  return heatmap({
    title: "Population stability index by input and day",
    rows: subjects.map(fieldLabel),
    columns: days.map((date) => day(date)),
    values,
    steps: PSI_STEPS,
    format: (value) => (Number.isFinite(value) ? number(value) : "not known"),
    legend: [
      { name: "similar", mark: "h-0" },
      { name: "0.1", mark: "h-3" },
      { name: "0.2", mark: "h-4" },
      { name: "0.5 and more", mark: "h-6" },
    ],
  });
}

const BUILDING_MEASURES = ["residual_bias", "residual_drift_ks", "interval_coverage"];

const latestOfBuildings = async (signal) =>
  (await Promise.all(BUILDING_MEASURES.map((measure) => latestOf(measure, "building", signal)))).flat();

function buildingTable(items) {
  const valuesOf = (measure) =>
    new Map(items.filter((item) => item.measure === measure).map(({ subject, value }) => [subject, value]));
  const [bias, distance, coverage] = BUILDING_MEASURES.map(valuesOf);
  const ids = [...new Set(items.map(({ subject }) => subject))]
    .sort((a, b) => Math.abs(bias.get(b) ?? 0) - Math.abs(bias.get(a) ?? 0))
    .slice(0, MAX_BUILDINGS);
  const isOff = (share) => Number.isFinite(share) && Math.abs(share - EXPECTED_COVERAGE) > COVERAGE_TOLERANCE;
  const coverageCell = (share) => (isOff(share) ? badge("warn", percent(share)) : percent(share));
  return table(
    "Buildings with the largest drift",
    [
      { name: "Building", cell: buildingLink },
      { name: "Mean error", number: true, cell: (id) => percent(bias.get(id)) },
      { name: "KS distance", number: true, cell: (id) => number(distance.get(id)) },
      { name: "P10 to P90", number: true, cell: (id) => coverageCell(coverage.get(id)) },
    ],
    ids,
  );
}
