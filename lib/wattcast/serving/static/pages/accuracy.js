// Accuracy: models and baselines side by side, by day, by hours ahead and by hour of the day.

import { ApiError, all } from "../api.js";
import { lineChart } from "../charts/lines.js";
import { bars } from "../charts/small.js";
import { since } from "../clock.js";
import { h } from "../dom.js";
import { choice, field, select } from "../controls.js";
import { MINUTELY, badge, buildingLink, card, note, pageHead, part, table } from "../parts.js";
import { moment, number, percent, plural, ratio, words } from "../words.js";
import { markOf, weighted } from "./series.js";

const RANGES = ["1", "3", "7", "14", "28", "90"].map((days) => [days, days]);
const MEASURES = [
  ["mae_kwh", "Mean absolute error"],
  ["rmse_kwh", "Root mean square error"],
  ["pinball_kwh", "Pinball loss"],
  ["interval_coverage", "Actuals within P10 to P90"],
];
const WORST = 12;

export default function accuracy(context) {
  const { query } = context;
  const days = () => context.chosen("days", RANGES, "14");
  const measure = () => context.chosen("measure", MEASURES, "mae_kwh");
  const longest = {}; // that the server sums up, by what is chosen
  const load = async (column, signal) => {
    const wanted = { building_id: query.get("building_id"), model_name: query.get("model_name") };
    const choice = JSON.stringify([wanted, days()]);
    const found = await inLongestRange(longest[choice] ?? days(), { by: column, ...wanted }, signal);
    longest[choice] = found.days;
    return { ...found, asked: days() };
  };
  const by = (column, draw) =>
    part({
      empty: "No forecast of this choice has met its actual energy yet.",
      everyMs: MINUTELY,
      load: async (signal) => ({ ...(await load(column, signal)), measure: measure() }),
      draw: (found) => found.rows.length && [shortened(found), draw(found.rows, found.measure)],
    });
  const models = part({
    empty: "No model has forecast in this time.",
    everyMs: MINUTELY,
    load: async (signal) => ({
      ...(await load("model", signal)),
      known: await all("/v1/models", {}, { signal }),
    }),
    draw: (found) => found.rows.length && [shortened(found), modelTable(found.rows, found.known)],
  });
  const course = by("day", (rows, of) =>
    compared("by day", rows, of, { x: ({ day }) => Date.parse(day), zone: "UTC", height: 260 }),
  );
  const leads = by("lead", (rows, of) =>
    compared("by hours ahead", rows, of, { x: (row) => row.lead_hours, xName: "Hours ahead", height: 210 }),
  );
  const hours = by("hour", (rows, of) =>
    compared("by local hour", rows, of, { x: (row) => row.local_hour, xName: "Hour", height: 210 }),
  );
  const buildings = by("building", (rows) => worstBuildings(rows));
  const parts = [models, course, leads, hours, buildings];
  const change = (name) => (value) => {
    context.remember({ [name]: value });
    parts.forEach((each) => each.refresh());
  };
  return {
    title: "Accuracy",
    parts,
    elements: [
      pageHead(
        "Accuracy",
        "Forecasts beside what happened; their mean absolute error beside that of two baselines, the same hour of last week and of the day before.",
      ),
      h(
        "div",
        { class: "controls" },
        choice("Days", RANGES, days(), change("days")),
        select("Measure of the charts", MEASURES, measure(), change("measure")),
        field("One building (its id)", query.get("building_id") ?? "", change("building_id")),
        field("One model (its name)", query.get("model_name") ?? "", change("model_name")),
      ),
      card("Models", "All forecasts of the time chosen", models.element),
      card("Over time", null, course.element),
      h(
        "div",
        { class: "columns" },
        card("By hours ahead", null, leads.element),
        card("By hour of the day", null, hours.element),
      ),
      card("Buildings with the greatest error", "Against repeating last week, which is the line", buildings.element),
    ],
  };
}

/**
 * The errors of the last `days`, or, where those are more hours than the server sums up at once, of the longest range that is
 * not: {rows, days}.
 */
async function inLongestRange(days, wanted, signal) {
  try {
    const rows = await all("/v1/accuracy", { ...wanted, from: since(Number(days)) }, { signal });
    return { rows, days };
  } catch (error) {
    const shorter = RANGES[RANGES.findIndex(([value]) => value === days) - 1];
    if (!shorter || !(error instanceof ApiError) || error.status !== 422) throw error;
    return inLongestRange(shorter[0], wanted, signal);
  }
}

const shortened = ({ days, asked }) =>
  days === asked
    ? null
    : note(
        `Shown: ${nameOfRange(days)}. ${nameOfRange(asked)} of so many buildings are more than is summed up at once; name one building to see them.`,
      );

const nameOfRange = (days) => plural(Number(days), "day");

const nameOf = (row) => `${row.model_name} ${row.model_version}`;
const BASELINES = [
  ["Last week", "last_week_mae_kwh", "s-base dashed"],
  ["The day before", "last_day_mae_kwh", "s-base dotted"],
];

/** A line per model, and the baselines where the measure is one that they have. */
function compared(title, rows, measure, { x, ...axis }) {
  const isShare = measure === "interval_coverage";
  const at = [...new Set(rows.map(x))].sort((a, b) => a - b);
  const line = (own, column) => at.map((each) => [each, own.find((row) => x(row) === each)?.[column] ?? null]);
  const models = [...new Set(rows.map(nameOf))].sort();
  const together = (column) =>
    at.map((each) => [
      each,
      weighted(
        rows.filter((row) => x(row) === each),
        column,
      ),
    ]);
  const baselines =
    measure === "mae_kwh" ? BASELINES.map(([name, column, mark]) => ({ name, mark, points: together(column) })) : [];
  return lineChart({
    title: `${MEASURES.find(([name]) => name === measure)[1]} ${title}`,
    ...axis,
    unit: isShare ? "" : "kWh",
    format: isShare ? (value) => percent(value, 0) : number,
    references: isShare ? [{ at: 0.8, label: "should be" }] : [],
    series: [
      ...baselines,
      ...models.map((name, i) => ({
        name,
        mark: markOf(i),
        points: line(
          rows.filter((row) => nameOf(row) === name),
          measure,
        ),
      })),
    ],
  });
}

function modelTable(rows, known) {
  // rows of a version that stepped down are not of its model
  const entry = (row) => (row.method === "model" ? known.find((model) => nameOf(model) === nameOf(row)) : undefined);
  const share = (row) => (row.last_week_mae_kwh ? row.mae_kwh / row.last_week_mae_kwh : null);
  const against = (row) => (share(row) === null ? "–" : badge(share(row) > 1 ? "bad" : "good", ratio(share(row))));
  return table(
    "Models",
    [
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
    ],
    rows,
    { emphasis: (row) => entry(row)?.is_champion },
  );
}

function worstBuildings(rows) {
  const rated = [...new Set(rows.map((row) => row.building_id))]
    .map((id) => {
      const own = rows.filter((row) => row.building_id === id);
      const [mae, week] = [weighted(own, "mae_kwh"), weighted(own, "last_week_mae_kwh")];
      return { id, mae, share: week ? mae / week : null };
    })
    .filter(({ share }) => share !== null);
  if (!rated.length) return null;
  const worst = rated.sort((a, b) => b.share - a.share).slice(0, WORST);
  return bars(
    "Error against repeating last week",
    worst.map(({ id, mae, share }) => ({
      name: buildingLink(id),
      value: share,
      mark: share > 1 ? "bad" : "good",
      text: `${ratio(share)} · ${number(mae, "kWh")}`,
    })),
    { reference: 1, valueName: "Error, repeating last week = 1, and in kWh" },
  );
}
