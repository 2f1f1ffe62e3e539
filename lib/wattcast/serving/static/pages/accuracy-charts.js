// The charts and tables of the page about accuracy.

import { lineChart } from "../charts/lines.js";
import { bars } from "../charts/small.js";
import { moment, number, percent, ratio } from "../formats.js";
import { words } from "../labels.js";
import { badge, buildingLink, table } from "../parts.js";
import { markOf, weightedMean } from "./measurements.js";

export const MEASURES = [
  ["mae_kwh", "Mean absolute error"],
  ["rmse_kwh", "Root mean square error"],
  ["pinball_kwh", "Pinball loss"],
  ["interval_coverage", "Actuals within P10 to P90"],
];
const BASELINES = [
  ["Last week", "last_week_mae_kwh", "s-base dashed"],
  ["The day before", "last_day_mae_kwh", "s-base dotted"],
];
const MAX_BUILDINGS = 12;

const modelName = (row) => `${row.model_name} ${row.model_version}`;

/** A line per model, and the baselines if the measure is the mean absolute error; `x(row)` is the position on the axis. */
export function comparisonChart(title, rows, measure, { x, ...axis }) {
  const isShare = measure === "interval_coverage";
  const positions = [...new Set(rows.map(x))].sort((a, b) => a - b);
  const baselines = measure === "mae_kwh" ? BASELINES : [];
  const models = [...new Set(rows.map(modelName))].sort();
  return lineChart({
    title: `${MEASURES.find(([name]) => name === measure)[1]} ${title}`,
    ...axis,
    unit: isShare ? "" : "kWh",
    format: isShare ? (value) => percent(value, 0) : number,
    references: isShare ? [{ at: 0.8, label: "expected" }] : [],
    series: [
      ...baselines.map(([name, column, mark]) => ({ name, mark, points: meanPoints(rows, positions, x, column) })),
      ...models.map((name, i) => ({
        name,
        mark: markOf(i),
        points: modelPoints(
          rows.filter((row) => modelName(row) === name),
          positions,
          x,
          measure,
        ),
      })),
    ],
  });
}

const modelPoints = (rows, positions, x, column) =>
  positions.map((position) => [position, rows.find((row) => x(row) === position)?.[column] ?? null]);

const meanPoints = (rows, positions, x, column) =>
  positions.map((position) => [
    position,
    weightedMean(
      rows.filter((row) => x(row) === position),
      column,
    ),
  ]);

export function modelTable(rows, versions) {
  // a row of a fallback method carries the version of the model that could not be used, but is not its accuracy
  const version = (row) =>
    row.method === "model" ? versions.find((candidate) => modelName(candidate) === modelName(row)) : undefined;
  const champion = (row) => (version(row)?.is_champion ? badge("accent", "Champion") : "");
  const columns = [
    { name: "Model", cell: (row) => [modelName(row), " ", champion(row)] },
    { name: "Method", cell: ({ method }) => words(method) },
    { name: "Trained", cell: (row) => (version(row)?.trained_at ? moment(version(row).trained_at) : "–") },
    { name: "Hours", number: true, cell: (row) => number(row.hours) },
    { name: "MAE, kWh", number: true, cell: (row) => number(row.mae_kwh) },
    { name: "RMSE, kWh", number: true, cell: (row) => number(row.rmse_kwh) },
    { name: "CV-RMSE", number: true, cell: (row) => percent(row.cv_rmse) },
    { name: "NMBE", number: true, cell: (row) => percent(row.nmbe) },
    { name: "P10 to P90", number: true, cell: (row) => percent(row.interval_coverage) },
    { name: "MAE / last week's", number: true, cell: errorRatioCell },
  ];
  return table("Models", columns, rows, { emphasis: (row) => version(row)?.is_champion });
}

function errorRatioCell(row) {
  if (!row.last_week_mae_kwh) return "–";
  const errorRatio = row.mae_kwh / row.last_week_mae_kwh;
  return badge(errorRatio > 1 ? "bad" : "good", ratio(errorRatio));
}

/** The buildings with the largest error relative to the weekly baseline, or null where no building has one. */
export function worstBuildings(rows) {
  const buildings = [...new Set(rows.map((row) => row.building_id))]
    .map((id) => errorOfBuilding(id, rows))
    .filter(({ errorRatio }) => errorRatio !== null);
  if (!buildings.length) return null;
  const worst = buildings.sort((a, b) => b.errorRatio - a.errorRatio).slice(0, MAX_BUILDINGS);
  return bars(
    "Error relative to repeating last week",
    worst.map(({ id, mae, errorRatio }) => ({
      name: buildingLink(id),
      value: errorRatio,
      mark: errorRatio > 1 ? "bad" : "good",
      text: `${ratio(errorRatio)} · ${number(mae, "kWh")}`,
    })),
    { reference: 1, valueName: "Error, repeating last week = 1, and in kWh" },
  );
}

function errorOfBuilding(id, rows) {
  const ofBuilding = rows.filter((row) => row.building_id === id);
  const mae = weightedMean(ofBuilding, "mae_kwh");
  const lastWeek = weightedMean(ofBuilding, "last_week_mae_kwh");
  return { id, mae, errorRatio: lastWeek ? mae / lastWeek : null };
}
