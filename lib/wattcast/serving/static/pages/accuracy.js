// Accuracy: models and baselines side by side, by day, by hours ahead and by hour of the day.

import { all } from "../api.js";
import { lineChart } from "../charts/lines.js";
import { bars } from "../charts/small.js";
import { h } from "../dom.js";
import { badge, buildingLink, card, choice, field, pageHead, part, select, table } from "../parts.js";
import { moment, number, percent, words } from "../words.js";

const RANGES = [["7", "7 days"], ["14", "14 days"], ["28", "28 days"], ["90", "90 days"]];
const MEASURES = [["mae_kwh", "Mean absolute error"], ["rmse_kwh", "Root mean square error"], ["pinball_kwh", "Pinball loss"], ["interval_coverage", "Actuals within P10 to P90"]];
const MARKS = ["s-1", "s-2", "s-3", "s-4", "s-5"];
const WORST = 12;

export default function accuracy(context) {
  const { query } = context;
  const chosen = () => ({
    building_id: query.get("building_id"), model_name: query.get("model_name"), from: context.since(Number(query.get("days") ?? 14)),
  });
  const measure = () => query.get("measure") ?? "mae_kwh";
  const by = (column, draw) => part({
    empty: "No forecast of this choice has met its actual energy yet.",
    load: async (signal) => ({ rows: await all("/v1/accuracy", { by: column, ...chosen() }, { signal }), measure: measure() }),
    draw: ({ rows, measure: of }) => rows.length && draw(rows, of),
  });
  const models = part({
    empty: "No model has forecast in this time.",
    load: async (signal) => ({
      rows: await all("/v1/accuracy", { by: "model", ...chosen() }, { signal }),
      known: await all("/v1/models", {}, { signal }),
    }),
    draw: ({ rows, known }) => rows.length && modelTable(rows, known),
  });
  const days = by("day", (rows, of) => compared("By day", rows, of, { x: ({ day }) => Date.parse(day), zone: "UTC", height: 260 }));
  const leads = by("lead", (rows, of) => compared("By hours ahead", rows, of, { x: (row) => row.lead_hours, xName: "Hours ahead", height: 210 }));
  const hours = by("hour", (rows, of) => compared("By local hour of the day", rows, of, { x: (row) => row.local_hour, xName: "Hour", height: 210 }));
  const buildings = by("building", (rows) => worstBuildings(rows));
  const parts = [models, days, leads, hours, buildings];
  const change = (name) => (value) => {
    context.remember({ [name]: value });
    parts.forEach((each) => each.refresh());
  };
  return {
    title: "Accuracy", parts,
    elements: [
      pageHead("Accuracy", "Forecasts beside what happened, always against two baselines: the same hour of last week and of the day before."),
      h("div", { class: "controls" },
        choice("Time", RANGES, query.get("days") ?? "14", change("days")),
        select("Measure of the charts", MEASURES, measure(), change("measure")),
        field("One building (its id)", query.get("building_id") ?? "", change("building_id")),
        field("One model (its name)", query.get("model_name") ?? "", change("model_name"))),
      card("Models", "All forecasts of the time chosen", models.element),
      card("Over time", null, days.element),
      h("div", { class: "columns" }, card("By hours ahead", null, leads.element), card("By hour of the day", null, hours.element)),
      card("Buildings with the greatest error", "Against repeating last week, which is the line", buildings.element),
    ],
  };
}

const nameOf = (row) => `${row.model_name} ${row.model_version}`;
const BASELINES = [["Last week", "last_week_mae_kwh", "s-base dashed"], ["The day before", "last_day_mae_kwh", "s-base dotted"]];

/** A line per model, and the baselines where the measure is one that they have. */
function compared(title, rows, measure, { x, ...axis }) {
  const isShare = measure === "interval_coverage";
  const at = [...new Set(rows.map(x))].sort((a, b) => a - b);
  const line = (own, column) => at.map((each) => [each, own.find((row) => x(row) === each)?.[column] ?? null]);
  const models = [...new Set(rows.map(nameOf))].sort();
  const most = models.map((name) => rows.filter((row) => nameOf(row) === name)).sort((a, b) => b.length - a.length)[0];
  const baselines = measure === "mae_kwh" ? BASELINES.map(([name, column, mark]) => ({ name, mark, points: line(most, column) })) : [];
  return lineChart({
    title, ...axis, unit: isShare ? "" : "kWh", format: isShare ? (value) => percent(value, 0) : number,
    references: isShare ? [{ at: 0.8, label: "should be" }] : [],
    series: [...baselines, ...models.map((name, i) => ({ name, mark: MARKS[i % MARKS.length], points: line(rows.filter((row) => nameOf(row) === name), measure) }))],
  });
}

function modelTable(rows, known) {
  const entry = (row) => known.find((model) => nameOf(model) === nameOf(row));
  const ratio = (row) => (row.last_week_mae_kwh ? row.mae_kwh / row.last_week_mae_kwh : null);
  const against = (row) => (ratio(row) === null ? "–" : badge(ratio(row) > 1 ? "bad" : "good", number(ratio(row))));
  return table("Models", [
    { name: "Model", cell: (row) => [nameOf(row), " ", entry(row)?.is_champion ? badge("accent", "Champion") : ""] },
    { name: "Method", cell: ({ method }) => words(method) },
    { name: "Trained", cell: (row) => (entry(row)?.trained_at ? moment(entry(row).trained_at) : "–") },
    { name: "Hours", number: true, cell: (row) => number(row.hours) },
    { name: "MAE, kWh", number: true, cell: (row) => number(row.mae_kwh) },
    { name: "RMSE, kWh", number: true, cell: (row) => number(row.rmse_kwh) },
    { name: "CV-RMSE", number: true, cell: (row) => percent(row.cv_rmse) },
    { name: "NMBE", number: true, cell: (row) => percent(row.nmbe) },
    { name: "P10 to P90", number: true, cell: (row) => percent(row.interval_coverage) },
    { name: "MAE over last week's", number: true, cell: against },
  ], rows, { emphasis: (row) => entry(row)?.is_champion });
}

function worstBuildings(rows) {
  const rated = rows.filter((row) => row.last_week_mae_kwh).map((row) => ({ ...row, ratio: row.mae_kwh / row.last_week_mae_kwh }));
  if (!rated.length) return null;
  const worst = rated.sort((a, b) => b.ratio - a.ratio).slice(0, WORST);
  return bars("Error against repeating last week", worst.map((row) => ({
    name: buildingLink(row.building_id), value: row.ratio, mark: row.ratio > 1 ? "bad" : "good", text: `${number(row.ratio)} (${number(row.mae_kwh, "kWh")})`,
  })), { reference: 1, valueName: "Error, repeating last week = 1, and in kWh" });
}
