// Facts about a building and about its forecast.

import { ApiError, get } from "../api.js";
import { h } from "../dom.js";
import { moment, plural } from "../formats.js";
import { METHODS, METHOD_NOTES, WARNINGS, words } from "../labels.js";
import { badge, note } from "../parts.js";

/** The forecast, or null where none was issued by `asOf`. */
export async function forecastOrNull(path, asOf, signal) {
  try {
    return await get(`${path}/forecast`, { as_of: asOf }, { signal });
  } catch (error) {
    if (error instanceof ApiError && error.status === 404) return null;
    throw error;
  }
}

export function buildingFacts(building) {
  const { site, building_type: type, timezone, country, open_alerts: alerts } = building;
  const zone = timezone ?? "time zone not known: UTC is used";
  const description = [words(type), site && `site ${site}`, country, zone].filter(Boolean);
  return h(
    "div",
    { class: "badges" },
    alerts ? badge("bad", plural(alerts, "open alert")) : badge("good", "No open alerts"),
    building.method === "model"
      ? badge("accent", "Forecast by the model")
      : badge("warn", building.method ? METHODS[building.method] : "No forecast yet"),
    h("span", { class: "muted" }, description.join(" · ")),
  );
}

/** `isPast`: the person selected a past time of issue, so the forecast is expected to be old. */
export function forecastFacts(forecast, { isPast }) {
  const { method, warnings } = forecast;
  const isOverdue = forecast.is_stale && !isPast;
  const rows = [
    ["Method", [METHODS[method] ?? method, " ", h("span", { class: "muted" }, METHOD_NOTES[method] ?? "")]],
    ["Model", `${forecast.model_name} ${forecast.model_version}`],
    ["First hour", moment(forecast.origin)],
    [
      "Issued at",
      [moment(forecast.issued_at), " ", isOverdue ? badge("warn", "Stale: a newer forecast is overdue") : ""],
    ],
  ];
  return [
    h(
      "dl",
      { class: "facts" },
      rows.map(([name, value]) => [h("dt", {}, name), h("dd", {}, value)]),
    ),
    h("h3", {}, "Warnings"),
    warnings.length
      ? h(
          "ul",
          { class: "warnings" },
          warnings.map((warning) => h("li", {}, WARNINGS[warning] ?? words(warning))),
        )
      : note("This forecast has no warnings."),
  ];
}
