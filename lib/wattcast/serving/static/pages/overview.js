// The fleet: how fresh and whole the data are, how good the forecasts, what is wrong, and every building.

import { all, get } from "../api.js";
import * as clock from "../clock.js";
import { lineChart } from "../charts/lines.js";
import { bars, spark } from "../charts/small.js";
import { h } from "../dom.js";
import { alertList } from "./alerts.js";
import { field } from "../controls.js";
import { MINUTELY, badge, buildingLink, card, cutNote, pageHead, pages, part, table, tiles } from "../parts.js";
import {
  METHODS,
  againstBaseline,
  ago,
  agoSeconds,
  duration,
  number,
  percent,
  plural,
  ratio as ratioText,
  words,
} from "../words.js";
import { bySubject, markOf } from "./series.js";

const TREND_DAYS = 14;
const TREND_EVERY_MINUTES = 360;
const ALERTS_SHOWN = 5;
const SEVERITIES = ["critical", "warning"]; // the worst first
const HOUR_S = 3600;
const NOT_MEASURED = "The monitor has not measured it yet: run the job monitor.";

export default function overview(context) {
  const figures = part({
    empty: "Nothing has arrived yet: send readings to the topic readings, then look here again.",
    load: async (signal) => ({
      now: await clock.newest(signal),
      trends: await trends("fleet", {}, signal),
    }),
    draw: ({ now, trends }) => (now.as_of ? tiles(fleetTiles(now, trends)) : null),
  });
  const open = part({
    empty: "No alert is open.",
    now: clock.minute,
    load: worstAlerts,
    draw: ({ items, more }) =>
      items.length && [
        alertList(items, clock.now()),
        more && h("p", {}, h("a", { href: "#/alerts" }, "All open alerts")),
      ],
  });
  const worst = part({
    empty: "No building has scored forecasts yet.",
    load: async (signal) => (await clock.newest(signal)).worst_buildings,
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
    empty: NOT_MEASURED,
    everyMs: MINUTELY,
    load: async (signal) => ({
      fleet: await trends("fleet", RATIO, signal),
      models: await trends("model", RATIO, signal),
    }),
    draw: ({ fleet, models }) => fleet.length && [errorOverTime(fleet, models), cutNote(models, (row) => row.as_of)],
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
          card("Error over time", "Of the 7 days before; the line is repeating last week", course.element),
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

const RATIO = { measure: "mae_ratio_to_last_week" };

/** Measurements of two weeks, a few a day. */
const trends = (scope, wanted, signal) =>
  all("/v1/health", { scope, ...wanted, every: TREND_EVERY_MINUTES, from: clock.since(TREND_DAYS) }, { signal });

/** The open alerts that are worst, then newest, and whether there are more. */
async function worstAlerts(signal) {
  const items = [];
  for (const severity of SEVERITIES) {
    const found = await get("/v1/alerts", { state: "firing", severity, limit: ALERTS_SHOWN + 1 }, { signal });
    items.push(...found.items);
  }
  return { items: items.slice(0, ALERTS_SHOWN), more: items.length > ALERTS_SHOWN };
}

/** The figures of the fleet, each with what it means. */
function fleetTiles(now, rows) {
  const trend = (measure) =>
    spark(
      rows
        .filter((each) => each.measure === measure)
        .map(({ value }) => value)
        .reverse(),
    );
  const { mae_ratio_to_last_week_7d: share, interval_coverage_7d: coverage, measured } = now;
  const isKwhKnown = now.mae_kwh_7d !== null;
  return [
    alertTile(now.alerts),
    freshnessTile(now),
    forecastTile(now),
    {
      name: "Whole hours",
      value: percent(now.completeness_24h),
      trend: trend("completeness"),
      ...judged(
        checked(now.completeness_24h, (value) => value >= 0.95),
        "Last 24 h: as it should be",
        "Last 24 h: hours are missing",
        { of: measured.completeness_24h },
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
        { of: measured.rejected_share_24h },
      ),
    },
    {
      name: "Mean error",
      value: isKwhKnown ? number(now.mae_kwh_7d) : ratioText(share),
      unit: isKwhKnown ? "kWh" : "of last week's",
      ...judged(
        checked(share, (value) => value <= 1),
        againstBaseline(share),
        againstBaseline(share),
        { of: measured.mae_ratio_to_last_week_7d, isSlow: true },
      ),
    },
    {
      name: "In P10 to P90",
      value: percent(coverage),
      trend: trend("interval_coverage"),
      ...judged(
        checked(coverage, (value) => Math.abs(value - 0.8) <= 0.08),
        "7 days; should be 80 %",
        "7 days; should be 80 %: bands are off",
        { of: measured.interval_coverage_7d, isSlow: true },
      ),
    },
  ];
}

function alertTile({ critical, warning }) {
  const status = critical ? "bad" : warning ? "warn" : "good";
  const says = critical + warning ? `${number(critical)} critical, ${plural(warning, "warning")}` : "All quiet";
  return { name: "Open alerts", value: number(critical + warning), status, says };
}

function freshnessTile({ as_of: asOf, stale_after_minutes: limit, buildings, devices }) {
  const age = clock.secondsSince(asOf);
  const isStale = age > 60 * limit;
  const says = isStale
    ? "Stale: nothing newer has arrived"
    : `${plural(buildings, "building")}, ${plural(devices, "device")}`;
  return { name: "Newest reading", value: duration(age), unit: "ago", status: isStale ? "bad" : "good", says };
}

function forecastTile({ forecasts_fresh: fresh, forecasts_stale: stale, buildings }) {
  const without = Math.max(0, buildings - fresh - stale);
  const lacking = [stale && `${number(stale)} stale`, without && `${number(without)} without one`].filter(Boolean);
  return {
    name: "Fresh forecasts",
    value: number(fresh),
    unit: `of ${number(buildings)}`,
    status: lacking.length ? "bad" : "good",
    says: lacking.join(", ") || "None is stale",
  };
}

const checked = (value, isGood) => (value === null ? null : isGood(value));

/** What a tile says of its value; null is unknown. What was measured too long ago is told with its age, whatever it was. */
function judged(isGood, good, bad, { of, isSlow = false }) {
  if (isGood === null) return { status: "muted", says: "Not known yet" };
  const age = of ? clock.measuredAge(of) : 0;
  if (age > (isSlow ? 3 : 1) * HOUR_S) return { status: "warn", says: `Measured ${agoSeconds(age)}` };
  return isGood ? { status: "good", says: good } : { status: "warn", says: bad };
}

function errorOverTime(fleet, models) {
  const lines = bySubject(models).map((line, i) => ({ ...line, mark: markOf(i + 1) }));
  return lineChart({
    title: "Mean absolute error, repeating last week = 1",
    zone: "UTC",
    height: 230,
    format: ratioText,
    references: [{ at: 1, label: "repeating last week" }],
    series: [...lines, ...bySubject(fleet).map((line) => ({ ...line, name: "All buildings", mark: "s-forecast" }))],
  });
}

function buildings(context) {
  const { query } = context;
  const rows = pages({
    empty: "No building matches.",
    now: clock.minute,
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
          { name: "Last reading", tight: true, cell: (row) => ago(row.last_reading_at, clock.now()) },
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
