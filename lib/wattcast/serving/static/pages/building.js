// One building: its forecast beside its actual energy, the weather, its accuracy, alerts and devices.

import { all, get } from "../api.js";
import * as clock from "../clock.js";
import { choice, field, select } from "../controls.js";
import { h } from "../dom.js";
import { MINUTELY, panel } from "../panel.js";
import { card, pageHead } from "../parts.js";
import { alertList } from "./alerts.js";
import { accuracyCharts, energyAndWeather } from "./building-charts.js";
import { buildingFacts, forecastFacts, forecastOrNull } from "./building-facts.js";
import { deviceTable } from "./devices.js";

const DAY_MS = 86400000;
const AHEAD_DAYS = 2;
const ACCURACY_DAYS = 28;
const MAX_DEVICES = 50;
const RANGES = [
  ["2", "2 days"],
  ["7", "7 days"],
  ["28", "28 days"],
];
const LEADS = [
  ["1", "1 hour"],
  ["6", "6 hours"],
  ["12", "12 hours"],
  ["24", "24 hours"],
];

export default function building(context) {
  const { id } = context;
  const path = `/v1/buildings/${encodeURIComponent(id)}`;
  const selection = selectionOf(context);
  const facts = panel({ load: (signal) => get(path, {}, { signal }), draw: buildingFacts });
  const forecast = forecastPanel(path, selection);
  const curves = curvesPanel(path, selection);
  const accuracy = accuracyPanel(id);
  const alerts = alertsPanel(id);
  const devices = devicesPanel(id);
  const controlRow = controls(context, selection, {
    onRange: () => curves.refresh(),
    onIssueTime: () => [curves, forecast].forEach((changed) => changed.refresh()),
  });
  return {
    title: id,
    buildingId: id,
    panels: [facts, forecast, curves, accuracy, alerts, devices],
    elements: [
      pageHead(id, null, h("p", {}, h("a", { href: "#/" }, "All buildings"))),
      facts.element,
      card("Forecast and actual energy", null, controlRow, curves.element),
      h(
        "div",
        { class: "columns" },
        h(
          "div",
          { class: "stack" },
          card("This forecast", null, forecast.element),
          card("Open alerts", null, alerts.element),
        ),
        card("Accuracy of its forecasts", "The last 28 days", accuracy.element),
      ),
      card("Devices", null, devices.element),
    ],
  };
}

/** What the person selected, as the address has it. */
const selectionOf = ({ query, selected }) => ({
  asOf: () => instantOrNull(query.get("as_of")),
  days: () => Number(selected("days", RANGES, "7")),
  lead: () => selected("lead", LEADS, "1"),
});

/** The time in ISO format, or null: anybody can write anything into an address. */
function instantOrNull(text) {
  const time = new Date(text ?? NaN);
  return Number.isNaN(time.getTime()) ? null : time.toISOString();
}

const forecastPanel = (path, selection) =>
  panel({
    empty: "No forecast of this building was issued by this time.",
    load: (signal) => forecastOrNull(path, selection.asOf(), signal),
    draw: (forecast) => forecast && forecastFacts(forecast, { isPast: Boolean(selection.asOf()) }),
  });

const curvesPanel = (path, selection) =>
  panel({
    empty: "There are no data of this building in this range.",
    load: async (signal) => {
      const until = new Date(selection.asOf() ?? clock.asOf());
      const from = new Date(until - selection.days() * DAY_MS).toISOString();
      const to = new Date(until.getTime() + AHEAD_DAYS * DAY_MS).toISOString();
      const [building, forecast, hours] = await Promise.all([
        get(path, {}, { signal }),
        forecastOrNull(path, selection.asOf(), signal),
        all(`${path}/history`, { from, to, lead_hours: selection.lead() }, { signal }),
      ]);
      return { building, forecast, hours };
    },
    draw: (data) => (data.hours.length || data.forecast) && energyAndWeather(data),
  });

const accuracyPanel = (id) =>
  panel({
    empty: "No forecast of this building has been compared with its actual energy yet.",
    everyMs: MINUTELY,
    load: async (signal) => {
      const parameters = { building_id: id, from: clock.since(ACCURACY_DAYS) };
      return {
        total: await all("/v1/accuracy", { by: "building", ...parameters }, { signal }),
        leads: await all("/v1/accuracy", { by: "lead", ...parameters }, { signal }),
      };
    },
    draw: ({ total, leads }) => leads.length && accuracyCharts(total, leads),
  });

const alertsPanel = (id) =>
  panel({
    empty: "This building has no open alerts.",
    now: clock.minute,
    load: async (signal) => {
      const { items } = await get("/v1/devices", { building_id: id }, { signal });
      const subjects = new Set([id, ...items.flatMap(({ device_id: device }) => [device, `${id}/${device}`])]);
      return (await all("/v1/alerts", { state: "firing" }, { signal })).filter(({ subject }) => subjects.has(subject));
    },
    draw: (items) => items.length && alertList(items, clock.now()),
  });

const devicesPanel = (id) =>
  panel({
    empty: "No device of this building has sent records recently.",
    now: clock.minute,
    load: (signal) => get("/v1/devices", { building_id: id, limit: MAX_DEVICES }, { signal }),
    draw: ({ items }) => items.length && deviceTable(items, clock.now(), { withBuilding: false }),
  });

function controls(context, selection, { onRange, onIssueTime }) {
  const change = (name, react) => (value) => {
    context.remember({ [name]: value });
    react();
  };
  const setIssueTime = change("as_of", onIssueTime);
  const time = field(
    "As issued at (UTC)",
    selection.asOf()?.slice(0, 16) ?? "",
    (value) => setIssueTime(value && `${value.slice(0, 16)}:00Z`),
    { type: "datetime-local", step: 3600 },
  );
  const showCurrent = () => {
    time.querySelector("input").value = "";
    setIssueTime("");
  };
  return h(
    "div",
    { class: "controls" },
    choice("History", RANGES, String(selection.days()), change("days", onRange)),
    select("Lead time of past forecasts", LEADS, selection.lead(), change("lead", onRange)),
    time,
    h("button", { type: "button", on: { click: showCurrent } }, "Current forecast"),
  );
}
