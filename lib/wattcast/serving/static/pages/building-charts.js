// The charts of a building.

import { lineChart } from "../charts/lines.js";
import { h } from "../dom.js";
import { note } from "../parts.js";
import { againstBaseline, number, percent } from "../words.js";
import { weighted } from "./series.js";

const HOUR_MS = 3600000;

/** The forecast over what happened, and the weather and people of the same hours. */
export function energyAndWeather({ building, forecast, hours }) {
  const zone = building.timezone ?? "UTC";
  const at = ({ hour }) => Date.parse(hour);
  const start = forecast ? Date.parse(forecast.origin) : Infinity;
  const past = hours.filter((hour) => at(hour) < start);
  const ahead = (forecast?.hours ?? []).map((hour) => ({ ...hour, hour: hour.target_hour }));
  const column = (name, rows = hours) => rows.map((row) => [at(row), row[name] ?? null]);
  const both = [...past, ...ahead];
  const energy = lineChart({
    title: `Energy by hour in the time of ${zone}`,
    unit: "kWh",
    zone,
    step: HOUR_MS,
    height: 320,
    marks: forecast ? [{ at: start, label: "forecast from here" }] : [],
    series: [
      {
        name: "P10 to P90",
        mark: "s-forecast",
        band: both.map((row) => [at(row), row.p10_kwh ?? null, row.p90_kwh ?? null]),
      },
      { name: "P50", mark: "s-forecast", points: column("p50_kwh", both) },
      { name: "Actual", mark: "s-actual", points: column("energy_usage_kwh") },
    ],
  });
  const weather = [
    ["temperature_c", "Outdoor temperature", "°C", "s-2"],
    ["humidity_pct", "Outdoor humidity", "%", "s-4"],
    ["occupancy", "People in the building", "", "s-3"],
  ];
  const known = weather.filter(([name]) => hours.some((row) => row[name] !== null));
  return [
    energy,
    known.length
      ? h(
          "div",
          { class: "columns three" },
          known.map(([name, title, unit, mark]) =>
            lineChart({
              title,
              unit,
              zone,
              step: HOUR_MS,
              height: 130,
              fromZero: name === "occupancy",
              series: [{ name: title, mark, points: column(name) }],
            }),
          ),
        )
      : note("Neither weather nor occupancy of these hours is known."),
  ];
}

/** How good the forecasts were, as a whole and by hours ahead. */
export function accuracyOf(whole, leads) {
  const ahead = [...new Set(leads.map((row) => row.lead_hours))].sort((a, b) => a - b);
  const line = (name) =>
    ahead.map((lead) => [
      lead,
      weighted(
        leads.filter((row) => row.lead_hours === lead),
        name,
      ),
    ]);
  const mean = (name) => weighted(whole, name);
  const ratio = mean("last_week_mae_kwh") ? mean("mae_kwh") / mean("last_week_mae_kwh") : null;
  return [
    h(
      "dl",
      { class: "facts" },
      h("dt", {}, "Mean absolute error"),
      h("dd", {}, number(mean("mae_kwh"), "kWh"), h("span", { class: "muted" }, ` · ${againstBaseline(ratio)}`)),
      h("dt", {}, "Within P10 to P90"),
      h("dd", {}, percent(mean("interval_coverage")), h("span", { class: "muted" }, " · should be 80 %")),
    ),
    lineChart({
      title: "Error by hours ahead",
      unit: "kWh",
      xName: "Hours ahead",
      height: 190,
      series: [
        { name: "Last week", mark: "s-base dashed", points: line("last_week_mae_kwh") },
        { name: "Forecast", mark: "s-forecast", points: line("mae_kwh") },
      ],
    }),
  ];
}
