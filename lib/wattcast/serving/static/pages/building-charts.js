// The charts of a building.

import { lineChart } from "../charts/lines.js";
import { h } from "../dom.js";
import { againstBaseline, number, percent } from "../formats.js";
import { note } from "../parts.js";
import { weightedMean } from "./measurements.js";

const HOUR_MS = 3600000;
const WEATHER = [
  ["temperature_c", "Outdoor temperature", "°C", "s-2"],
  ["humidity_pct", "Outdoor humidity", "%", "s-4"],
  ["occupancy", "People in the building", "", "s-3"],
];

const hourOf = ({ hour }) => Date.parse(hour);
const points = (rows, column) => rows.map((row) => [hourOf(row), row[column] ?? null]);

/** The forecast beside the actual energy, and the weather and occupancy of the same hours. */
export function energyAndWeather({ building, forecast, hours }) {
  const zone = building.timezone ?? "UTC";
  const columns = WEATHER.filter(([name]) => hours.some((row) => row[name] !== null));
  return [
    energyChart(zone, forecast, hours),
    columns.length
      ? h(
          "div",
          { class: "columns three" },
          columns.map((column) => weatherChart(zone, hours, column)),
        )
      : note("There are no weather or occupancy data for these hours."),
  ];
}

function energyChart(zone, forecast, hours) {
  const start = forecast ? Date.parse(forecast.origin) : Infinity;
  const past = hours.filter((row) => hourOf(row) < start);
  const ahead = (forecast?.hours ?? []).map((row) => ({ ...row, hour: row.target_hour }));
  const forecasts = [...past, ...ahead];
  const band = forecasts.map((row) => [hourOf(row), row.p10_kwh ?? null, row.p90_kwh ?? null]);
  return lineChart({
    title: `Energy by hour, time zone ${zone}`,
    unit: "kWh",
    zone,
    step: HOUR_MS,
    height: 320,
    marks: forecast ? [{ at: start, label: "forecast from here" }] : [],
    series: [
      { name: "P10 to P90", mark: "s-forecast", band },
      { name: "P50", mark: "s-forecast", points: points(forecasts, "p50_kwh") },
      { name: "Actual", mark: "s-actual", points: points(hours, "energy_usage_kwh") },
    ],
  });
}

const weatherChart = (zone, hours, [name, title, unit, mark]) =>
  lineChart({
    title,
    unit,
    zone,
    step: HOUR_MS,
    height: 130,
    fromZero: name === "occupancy",
    series: [{ name: title, mark, points: points(hours, name) }],
  });

/** The accuracy of the forecasts in total and by hours ahead. */
export function accuracyCharts(total, leads) {
  const mean = (name) => weightedMean(total, name);
  const lastWeek = mean("last_week_mae_kwh");
  const errorRatio = lastWeek ? mean("mae_kwh") / lastWeek : null;
  return [
    h(
      "dl",
      { class: "facts" },
      h("dt", {}, "Mean absolute error"),
      h("dd", {}, number(mean("mae_kwh"), "kWh"), h("span", { class: "muted" }, ` · ${againstBaseline(errorRatio)}`)),
      h("dt", {}, "Within P10 to P90"),
      h("dd", {}, percent(mean("interval_coverage")), h("span", { class: "muted" }, " · expected: 80 %")),
    ),
    lineChart({
      title: "Error by hours ahead",
      unit: "kWh",
      xName: "Hours ahead",
      height: 190,
      series: [
        { name: "Last week", mark: "s-base dashed", points: pointsByLead(leads, "last_week_mae_kwh") },
        { name: "Forecast", mark: "s-forecast", points: pointsByLead(leads, "mae_kwh") },
      ],
    }),
  ];
}

function pointsByLead(leads, column) {
  const leadHours = [...new Set(leads.map((row) => row.lead_hours))].sort((a, b) => a - b);
  return leadHours.map((lead) => [
    lead,
    weightedMean(
      leads.filter((row) => row.lead_hours === lead),
      column,
    ),
  ]);
}
