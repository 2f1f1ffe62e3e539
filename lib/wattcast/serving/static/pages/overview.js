// The overview of all buildings: figures, open alerts, errors, and the list of buildings.

import { all, get } from "../api.js";
import { lineChart } from "../charts/lines.js";
import { bars } from "../charts/small.js";
import * as clock from "../clock.js";
import { h } from "../dom.js";
import { ratio } from "../formats.js";
import { MINUTELY, panel } from "../panel.js";
import { buildingLink, card, cutNote, pageHead, tiles } from "../parts.js";
import { alertList } from "./alerts.js";
import { buildingList } from "./building-list.js";
import { NOT_MEASURED, bySubject, markOf } from "./measurements.js";
import { overviewTiles } from "./overview-tiles.js";

const TREND_DAYS = 14;
const TREND_EVERY_MINUTES = 360;
const MAX_ALERTS = 5;
const SEVERITIES = ["critical", "warning"]; // the worst first
const ERROR_RATIO = { measure: "mae_ratio_to_last_week" };

export default function overview(context) {
  const figures = figuresPanel();
  const alerts = alertsPanel();
  const worst = worstBuildingsPanel();
  const errors = errorsPanel();
  const list = buildingList(context);
  const errorCard = card("Error over time", "Over the last 7 days; the line marks repeating last week", errors.element);
  return {
    title: "Fleet",
    panels: [figures, alerts, worst, errors, list.panel],
    elements: [
      pageHead(
        "Fleet",
        "How current and complete the data are, how accurate the forecasts are, and which buildings need attention.",
      ),
      figures.element,
      h(
        "div",
        { class: "columns lead" },
        h("div", { class: "stack" }, errorCard, list.element),
        h(
          "div",
          { class: "stack" },
          card("Open alerts", null, alerts.element),
          card("Largest errors", "Last 7 days; the line marks repeating last week", worst.element),
        ),
      ),
    ],
  };
}

const figuresPanel = () =>
  panel({
    empty: "No readings have arrived yet. Send readings to the Kafka topic readings, and they appear here.",
    load: async (signal) => ({
      overview: await clock.recentOverview(signal),
      trends: await trends("fleet", {}, signal),
    }),
    draw: ({ overview, trends }) => (overview.as_of ? tiles(overviewTiles(overview, trends)) : null),
  });

const alertsPanel = () =>
  panel({
    empty: "There are no open alerts.",
    now: clock.minute,
    load: worstAlerts,
    draw: ({ items, hasMore }) =>
      items.length && [
        alertList(items, clock.now()),
        hasMore && h("p", {}, h("a", { href: "#/alerts" }, "Show all open alerts")),
      ],
  });

/** The worst and then newest open alerts, and whether there are more. */
async function worstAlerts(signal) {
  const items = [];
  for (const severity of SEVERITIES) {
    const page = await get("/v1/alerts", { state: "firing", severity, limit: MAX_ALERTS + 1 }, { signal });
    items.push(...page.items);
  }
  return { items: items.slice(0, MAX_ALERTS), hasMore: items.length > MAX_ALERTS };
}

const worstBuildingsPanel = () =>
  panel({
    empty: "No forecasts have been compared with actual energy yet.",
    load: async (signal) => (await clock.recentOverview(signal)).worst_buildings,
    draw: (items) =>
      items.length &&
      bars(
        "Buildings with the largest error relative to repeating last week",
        items.map(({ building_id: id, mae_ratio_to_last_week: errorRatio }) => ({
          name: buildingLink(id),
          value: errorRatio,
          mark: errorRatio > 1 ? "bad" : "good",
          text: ratio(errorRatio),
        })),
        { reference: 1, valueName: "Error, repeating last week = 1" },
      ),
  });

const errorsPanel = () =>
  panel({
    empty: NOT_MEASURED,
    everyMs: MINUTELY,
    load: async (signal) => ({
      fleet: await trends("fleet", ERROR_RATIO, signal),
      models: await trends("model", ERROR_RATIO, signal),
    }),
    draw: ({ fleet, models }) => fleet.length && [errorChart(fleet, models), cutNote(models, (row) => row.as_of)],
  });

function errorChart(fleet, models) {
  const ofModels = bySubject(models).map((line, i) => ({ ...line, mark: markOf(i + 1) }));
  const ofFleet = bySubject(fleet).map((line) => ({ ...line, name: "All buildings", mark: "s-forecast" }));
  return lineChart({
    title: "Mean absolute error, repeating last week = 1",
    zone: "UTC",
    height: 230,
    format: ratio,
    references: [{ at: 1, label: "repeating last week" }],
    series: [...ofModels, ...ofFleet],
  });
}

/** Measurements of two weeks, a few per day. */
const trends = (scope, parameters, signal) =>
  all(
    "/v1/health",
    { scope, ...parameters, every: TREND_EVERY_MINUTES, from: clock.since(TREND_DAYS) },
    { signal },
  );
