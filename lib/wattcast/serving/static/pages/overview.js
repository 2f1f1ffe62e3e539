// The fleet: how fresh and whole the data are, how good the forecasts, what is wrong, and every building.

import { all, get } from "../api.js";
import { lineChart } from "../charts/lines.js";
import { bars, spark } from "../charts/small.js";
import { h } from "../dom.js";
import { alertList } from "./alerts.js";
import { badge, buildingLink, card, field, pageHead, pages, part, table, tiles } from "../parts.js";
import { METHODS, againstBaseline, ago, duration, number, percent, plural, ratio as ratioText, words } from "../words.js";
import { weighted } from "./series.js";

const TREND_DAYS = 14;
const ALERTS_SHOWN = 5;

export default function overview(context) {
  const figures = part({
    empty: "Nothing has arrived yet: send readings to the topic readings, then look here again.",
    load: async (signal) => ({
      now: await get("/v1/overview", {}, { signal }),
      trends: await all("/v1/health", { scope: "fleet", from: context.since(TREND_DAYS) }, { signal }),
    }),
    draw: ({ now, trends }) => (now.as_of ? tiles(fleetTiles(now, trends)) : null),
  });
  const open = part({
    empty: "No alert is open.",
    load: (signal) => get("/v1/alerts", { state: "firing", limit: ALERTS_SHOWN }, { signal }),
    draw: ({ items, next_cursor: more }) => items.length && [
      alertList(items, context.asOf()),
      more && h("p", {}, h("a", { href: "#/alerts" }, "All open alerts")),
    ],
  });
  const worst = part({
    empty: "No building has scored forecasts yet.",
    load: async (signal) => (await get("/v1/overview", {}, { signal })).worst_buildings,
    draw: (items) => items.length && bars("Buildings with the greatest error against repeating last week", items.map(({ building_id: id, mae_ratio_to_last_week: ratio }) => ({
      name: buildingLink(id), value: ratio, mark: ratio > 1 ? "bad" : "good", text: ratioText(ratio),
    })), { reference: 1, valueName: "Error, repeating last week = 1" }),
  });
  const course = part({
    empty: "No forecast has met its actual energy yet.",
    load: (signal) => all("/v1/accuracy", { by: "day", from: context.since(TREND_DAYS) }, { signal }),
    draw: (days) => days.length && errorByDay(days),
  });
  const { element: list, parts } = buildings(context);
  return {
    title: "Fleet",
    parts: [figures, open, worst, course, ...parts],
    elements: [
      pageHead("Fleet", "How fresh and whole the data are, how good the forecasts, and where to look first."),
      figures.element,
      h("div", { class: "columns lead" },
        h("div", { class: "stack" }, card("Error day by day", "Forecasts beside repeating last week or the day before", course.element), list),
        h("div", { class: "stack" }, card("Open alerts", null, open.element),
          card("Worst buildings", "Error of 7 days; the line is repeating last week", worst.element))),
    ],
  };
}

function fleetTiles(now, trends) {
  const trend = (measure) => spark(trends.filter((each) => each.measure === measure).map(({ value }) => value).reverse());
  const { critical, warning } = now.alerts;
  const isStale = now.age_seconds > 2 * 3600;
  const ratio = now.mae_ratio_to_last_week_7d;
  const coverage = now.interval_coverage_7d;
  const isOff = coverage !== null && Math.abs(coverage - 0.8) > 0.08;
  return [
    { name: "Open alerts", value: number(critical + warning), status: critical ? "bad" : warning ? "warn" : "good", says: critical + warning ? `${number(critical)} critical, ${plural(warning, "warning")}` : "All quiet" },
    { name: "Newest reading", value: duration(now.age_seconds), unit: "ago", status: isStale ? "bad" : "good", says: isStale ? "Stale: nothing newer has arrived" : `${plural(now.buildings, "building")}, ${plural(now.devices, "device")}` },
    { name: "Fresh forecasts", value: number(now.forecasts_fresh), unit: `of ${number(now.forecasts_fresh + now.forecasts_stale)}`, status: now.forecasts_stale ? "warn" : "good", says: now.forecasts_stale ? `${number(now.forecasts_stale)} stale` : "None is stale", trend: trend("forecast_age_minutes") },
    { name: "Whole hours, 24 h", value: percent(now.completeness_24h), status: now.completeness_24h < 0.95 ? "warn" : "good", says: now.completeness_24h < 0.95 ? "Hours are missing" : "As it should be", trend: trend("completeness") },
    { name: "Rejected, 24 h", value: percent(now.rejected_share_24h, 2), status: now.rejected_share_24h > 0.05 ? "warn" : "good", says: now.rejected_share_24h > 0.05 ? "More than 5 % of the records" : "of all records", trend: trend("rejected_share") },
    { name: "Mean error, 7 days", value: number(now.mae_kwh_7d), unit: "kWh", status: ratio === null ? "muted" : ratio > 1 ? "bad" : "good", says: againstBaseline(ratio), trend: trend("mae_ratio_to_last_week") },
    { name: "Within P10 to P90", value: percent(coverage), status: coverage === null ? "muted" : isOff ? "warn" : "good", says: isOff ? "Should be 80 %: bands are off" : "Should be 80 %", trend: trend("interval_coverage") },
  ];
}

function errorByDay(rows) {
  const days = [...new Set(rows.map(({ day }) => day))].sort();
  const line = (column) => days.map((day) => [Date.parse(day), weighted(rows.filter((row) => row.day === day), column)]);
  return lineChart({
    title: "Mean absolute error by day", unit: "kWh", zone: "UTC", height: 230,
    series: [
      { name: "The day before", mark: "s-base dotted", points: line("last_day_mae_kwh") },
      { name: "Last week", mark: "s-base dashed", points: line("last_week_mae_kwh") },
      { name: "Forecast", mark: "s-forecast", points: line("mae_kwh") },
    ],
  });
}

function buildings(context) {
  const { query } = context;
  const rows = pages({
    empty: "No building matches.",
    fetchPage: (cursor, signal) => get("/v1/buildings", { search: query.get("search"), limit: 25, cursor }, { signal }),
    draw: (items) => table("Buildings", [
      { name: "Building", cell: ({ building_id: id }) => buildingLink(id) },
      { name: "Site and type", cell: (row) => [row.site, words(row.building_type)].filter(Boolean).join(", ") || "not known" },
      { name: "Last reading", tight: true, cell: (row) => ago(row.last_reading_at, context.asOf()) },
      { name: "Forecast by", cell: ({ method }) => (method === "model" ? METHODS.model : method ? badge("warn", METHODS[method] ?? method) : "none yet") },
      { name: "Warnings", cell: ({ warnings }) => (warnings?.length ? warnings.map(words).join(", ") : "none") },
      { name: "Open alerts", number: true, cell: (row) => (row.open_alerts ? badge("bad", number(row.open_alerts)) : "0") },
    ], items),
  });
  const search = field("Search by id", query.get("search") ?? "", (search) => {
    context.remember({ search });
    rows.restart();
  });
  return { element: card("Buildings", null, h("div", { class: "controls" }, search), rows.element), parts: [rows] };
}
