// Accuracy: models and baselines side by side, by day, by hours ahead and by hour of the day.

import { ApiError, all } from "../api.js";
import { since } from "../clock.js";
import { choice, field, select } from "../controls.js";
import { h } from "../dom.js";
import { plural } from "../formats.js";
import { MINUTELY, panel } from "../panel.js";
import { card, note, pageHead } from "../parts.js";
import { MEASURES, comparisonChart, modelTable, worstBuildings } from "./accuracy-charts.js";

const RANGES = ["1", "3", "7", "14", "28", "90"].map((days) => [days, days]);
const CHARTS = {
  day: { by: "day", title: "by day", axis: { x: ({ day }) => Date.parse(day), zone: "UTC", height: 260 } },
  lead: {
    by: "lead",
    title: "by hours ahead",
    axis: { x: (row) => row.lead_hours, xName: "Hours ahead", height: 210 },
  },
  hour: { by: "hour", title: "by local hour", axis: { x: (row) => row.local_hour, xName: "Hour", height: 210 } },
};
const INTRODUCTION =
  "Forecasts compared with actual energy. Their mean absolute error is shown beside that of two baselines: the same hour of " +
  "last week and of the day before.";

export default function accuracy(context) {
  const selection = {
    days: () => context.selected("days", RANGES, "14"),
    measure: () => context.selected("measure", MEASURES, "mae_kwh"),
    filter: () => ({ building_id: context.query.get("building_id"), model_name: context.query.get("model_name") }),
  };
  const load = rangeLoader(selection);
  const models = modelsPanel(load);
  const byDay = chartPanel(selection, load, CHARTS.day);
  const byLead = chartPanel(selection, load, CHARTS.lead);
  const byHour = chartPanel(selection, load, CHARTS.hour);
  const buildings = scoresPanel(selection, load, "building", worstBuildings);
  const panels = [models, byDay, byLead, byHour, buildings];
  return {
    title: "Accuracy",
    panels,
    elements: [
      pageHead("Accuracy", INTRODUCTION),
      controls(context, selection, panels),
      card("Models", "All forecasts of the selected days", models.element),
      card("Over time", null, byDay.element),
      h(
        "div",
        { class: "columns" },
        card("By hours ahead", null, byLead.element),
        card("By hour of the day", null, byHour.element),
      ),
      card(
        "Buildings with the largest errors",
        "The line marks repeating last week",
        buildings.element,
      ),
    ],
  };
}

function controls(context, selection, panels) {
  const change = (name) => (value) => {
    context.remember({ [name]: value });
    panels.forEach((panel) => panel.refresh());
  };
  const filter = selection.filter();
  return h(
    "div",
    { class: "controls" },
    choice("Days", RANGES, selection.days(), change("days")),
    select("Measure of the charts", MEASURES, selection.measure(), change("measure")),
    field("Building id", filter.building_id ?? "", change("building_id")),
    field("Model name", filter.model_name ?? "", change("model_name")),
  );
}

/** Loads accuracy rows; remembers for each selection the longest range that the server can sum up. */
function rangeLoader(selection) {
  const longestDays = {};
  return async (by, signal) => {
    const filter = selection.filter();
    const requestedDays = selection.days();
    const key = JSON.stringify([filter, requestedDays]);
    const result = await longestRange(longestDays[key] ?? requestedDays, { by, ...filter }, signal);
    longestDays[key] = result.days;
    return { ...result, requestedDays };
  };
}

/** The errors of the last `days`, or of the longest shorter range if the server cannot sum up so many hours: {rows, days}. */
async function longestRange(days, parameters, signal) {
  try {
    const rows = await all("/v1/accuracy", { ...parameters, from: since(Number(days)) }, { signal });
    return { rows, days };
  } catch (error) {
    const shorter = RANGES[RANGES.findIndex(([value]) => value === days) - 1];
    if (!shorter || !(error instanceof ApiError) || error.status !== 422) throw error;
    return longestRange(shorter[0], parameters, signal);
  }
}

const scoresPanel = (selection, load, by, draw) =>
  panel({
    empty: "No forecast of this selection has been compared with actual energy yet.",
    everyMs: MINUTELY,
    load: async (signal) => ({ ...(await load(by, signal)), measure: selection.measure() }),
    draw: (result) => result.rows.length && [shortenedNote(result), draw(result.rows, result.measure)],
  });

const chartPanel = (selection, load, { by, title, axis }) =>
  scoresPanel(selection, load, by, (rows, measure) => comparisonChart(title, rows, measure, axis));

const modelsPanel = (load) =>
  panel({
    empty: "No model has issued forecasts in this time.",
    everyMs: MINUTELY,
    load: async (signal) => ({
      ...(await load("model", signal)),
      versions: await all("/v1/models", {}, { signal }),
    }),
    draw: (result) => result.rows.length && [shortenedNote(result), modelTable(result.rows, result.versions)],
  });

const daysText = (days) => plural(Number(days), "day");

const shortenedNote = ({ days, requestedDays }) =>
  days === requestedDays
    ? null
    : note(
        `Only ${daysText(days)} are shown: the server cannot sum up ${daysText(requestedDays)} of so many buildings. ` +
          "Enter a building id to see them.",
      );
