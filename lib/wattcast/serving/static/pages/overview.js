// The fleet: how fresh and whole the data are, how good the forecasts, what is wrong, and every building.

import { all, get } from "../api.js";
import { lineChart } from "../charts/lines.js";
import { bars, spark } from "../charts/small.js";
import { h } from "../dom.js";
import { alertList } from "./alerts.js";
import { field } from "../controls.js";
import { badge, buildingLink, card, pageHead, pages, part, table, tiles } from "../parts.js";
import {
  METHODS,
  againstBaseline,
  ago,
  duration,
  number,
  percent,
  plural,
  ratio as ratioText,
  words,
} from "../words.js";
import { weighted } from "./series.js";

const TREND_DAYS = 14;
const ALERTS_SHOWN = 5;
const STALE_AFTER_S = 2 * 3600;

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
    now: context.asOf,
    load: (signal) => get("/v1/alerts", { state: "firing", limit: ALERTS_SHOWN }, { signal }),
    draw: ({ items, next_cursor: more }) =>
      items.length && [
        alertList(items, context.asOf()),
        more && h("p", {}, h("a", { href: "#/alerts" }, "All open alerts")),
      ],
  });
  const worst = part({
    empty: "No building has scored forecasts yet.",
    load: async (signal) => (await get("/v1/overview", {}, { signal })).worst_buildings,
    draw: (items) =>
      items.length &&
      bars(
        "Buildings with the greatest error against repeating last week",
        items.map(({ building_id: id, mae_ratio_to_last_week: ratio }) => ({
          name: buildingLink(id),
          value: ratio,
          mark: ratio > 1 ? "bad" : "good",
          text: ratioText(ratio),
        })),
        { reference: 1, valueName: "Error, repeating last week = 1" },
      ),
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
      h(
        "div",
        { class: "columns lead" },
        h(
          "div",
          { class: "stack" },
          card("Error day by day", "Forecasts beside repeating last week or the day before", course.element),
          list,
        ),
        h(
          "div",
          { class: "stack" },
          card("Open alerts", null, open.element),
          card("Worst buildings", "Error of 7 days; the line is repeating last week", worst.element),
        ),
      ),
    ],
  };
}

/** The figures of the fleet, each with what it means. */
function fleetTiles(now, trends) {
  const trend = (measure) =>
    spark(
      trends
        .filter((each) => each.measure === measure)
        .map(({ value }) => value)
        .reverse(),
    );
  const { mae_ratio_to_last_week_7d: share, interval_coverage_7d: coverage } = now;
  return [
    alertTile(now.alerts),
    freshnessTile(now),
    {
      name: "Fresh forecasts",
      value: number(now.forecasts_fresh),
      unit: `of ${number(now.forecasts_fresh + now.forecasts_stale)}`,
      ...judged(now.forecasts_stale === 0, "None is stale", `${number(now.forecasts_stale)} stale`),
    },
    {
      name: "Whole hours",
      value: percent(now.completeness_24h),
      trend: trend("completeness"),
      ...judged(
        checked(now.completeness_24h, (value) => value >= 0.95),
        "Last 24 h: as it should be",
        "Last 24 h: hours are missing",
      ),
    },
    {
      name: "Rejected",
      value: percent(now.rejected_share_24h, 2),
      trend: trend("rejected_share"),
      ...judged(
        checked(now.rejected_share_24h, (value) => value <= 0.05),
        "Of the last 24 h's records",
        "Last 24 h: more than 5 %",
      ),
    },
    {
      name: "Mean error",
      value: number(now.mae_kwh_7d),
      unit: "kWh",
      trend: trend("mae_ratio_to_last_week"),
      ...judged(
        checked(share, (value) => value <= 1),
        againstBaseline(share),
        againstBaseline(share),
      ),
    },
    {
      name: "In P10 to P90",
      value: percent(coverage),
      trend: trend("interval_coverage"),
      ...judged(
        checked(coverage, (value) => Math.abs(value - 0.8) <= 0.08),
        "Should be 80 %",
        "Should be 80 %: bands are off",
      ),
    },
  ];
}

function alertTile({ critical, warning }) {
  const status = critical ? "bad" : warning ? "warn" : "good";
  const says = critical + warning ? `${number(critical)} critical, ${plural(warning, "warning")}` : "All quiet";
  return { name: "Open alerts", value: number(critical + warning), status, says };
}

function freshnessTile({ age_seconds: age, buildings, devices }) {
  const isStale = age > STALE_AFTER_S;
  const says = isStale
    ? "Stale: nothing newer has arrived"
    : `${plural(buildings, "building")}, ${plural(devices, "device")}`;
  return { name: "Newest reading", value: duration(age), unit: "ago", status: isStale ? "bad" : "good", says };
}

const checked = (value, isGood) => (value === null ? null : isGood(value));

/** What a tile says of its value; null is unknown. */
function judged(isGood, good, bad) {
  if (isGood === null) return { status: "muted", says: "Not known yet" };
  return isGood ? { status: "good", says: good } : { status: "warn", says: bad };
}

function errorByDay(rows) {
  const days = [...new Set(rows.map(({ day }) => day))].sort();
  const line = (column) =>
    days.map((day) => [
      Date.parse(day),
      weighted(
        rows.filter((row) => row.day === day),
        column,
      ),
    ]);
  return lineChart({
    title: "Mean absolute error by day",
    unit: "kWh",
    zone: "UTC",
    height: 230,
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
    now: context.asOf,
    fetchPage: (cursor, signal) => get("/v1/buildings", { search: query.get("search"), limit: 25, cursor }, { signal }),
    draw: (items) =>
      table(
        "Buildings",
        [
          { name: "Building", cell: ({ building_id: id }) => buildingLink(id) },
          {
            name: "Type and site",
            tight: true,
            cell: (row) => [words(row.building_type), row.site].filter(Boolean).join(", ") || "not known",
          },
          { name: "Last reading", tight: true, cell: (row) => ago(row.last_reading_at, context.asOf()) },
          {
            name: "Forecast by",
            cell: ({ method }) =>
              method === "model" ? METHODS.model : method ? badge("warn", METHODS[method] ?? method) : "none yet",
          },
          { name: "Warnings", cell: ({ warnings }) => (warnings?.length ? warnings.map(words).join(", ") : "none") },
          {
            name: "Alerts",
            number: true,
            cell: (row) => (row.open_alerts ? badge("bad", number(row.open_alerts)) : "0"),
          },
        ],
        items,
      ),
  });
  const search = field("Search by id", query.get("search") ?? "", (search) => {
    context.remember({ search });
    rows.restart();
  });
  return { element: card("Buildings", null, h("div", { class: "controls" }, search), rows.element), parts: [rows] };
}
