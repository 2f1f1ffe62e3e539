// One building: its forecast over what happened, its weather, and why to trust the forecast or not.

import { all, ApiError, get } from "../api.js";
import * as clock from "../clock.js";
import { h } from "../dom.js";
import { alertList } from "./alerts.js";
import { accuracyOf, energyAndWeather } from "./building-charts.js";
import { deviceTable } from "./devices.js";
import { choice, field, select } from "../controls.js";
import { MINUTELY, badge, card, note, pageHead, part } from "../parts.js";
import { METHODS, METHOD_NOTES, WARNINGS, moment, number, words } from "../words.js";

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
  const { id, query } = context;
  const path = `/v1/buildings/${encodeURIComponent(id)}`;
  const asked = {
    asOf: () => instantOrNull(query.get("as_of")),
    days: () => Number(context.chosen("days", RANGES, "7")),
    lead: () => context.chosen("lead", LEADS, "1"),
  };

  const about = part({ load: (signal) => get(path, {}, { signal }), draw: facts });
  const current = part({
    empty: "No forecast of this building had been issued by then.",
    load: (signal) => forecastOrNone(path, asked.asOf(), signal),
    draw: (forecast) => forecast && forecastFacts(forecast, { isOfThen: Boolean(asked.asOf()) }),
  });
  const curves = part({
    empty: "No hour of this building is known in this range.",
    load: async (signal) => {
      const until = new Date(asked.asOf() ?? clock.asOf());
      const from = new Date(until - asked.days() * 86400000).toISOString();
      const to = new Date(until.getTime() + 2 * 86400000).toISOString();
      const [building, forecast, hours] = await Promise.all([
        get(path, {}, { signal }),
        forecastOrNone(path, asked.asOf(), signal),
        all(`${path}/history`, { from, to, lead_hours: asked.lead() }, { signal }),
      ]);
      return { building, forecast, hours };
    },
    draw: (data) => (data.hours.length || data.forecast) && energyAndWeather(data),
  });
  const accuracy = part({
    empty: "No forecast of this building has met its actual energy yet.",
    everyMs: MINUTELY,
    load: async (signal) => ({
      whole: await all("/v1/accuracy", { by: "building", building_id: id, from: clock.since(28) }, { signal }),
      leads: await all("/v1/accuracy", { by: "lead", building_id: id, from: clock.since(28) }, { signal }),
    }),
    draw: ({ whole, leads }) => leads.length && accuracyOf(whole, leads),
  });
  const alerts = part({
    empty: "No alert of this building is open.",
    now: clock.minute,
    load: async (signal) => {
      const { items } = await get("/v1/devices", { building_id: id }, { signal });
      const subjects = new Set([id, ...items.flatMap(({ device_id: device }) => [device, `${id}/${device}`])]);
      return (await all("/v1/alerts", { state: "firing" }, { signal })).filter(({ subject }) => subjects.has(subject));
    },
    draw: (items) => items.length && alertList(items, clock.now()),
  });
  const devices = part({
    empty: "No device of this building has been heard.",
    now: clock.minute,
    load: (signal) => get("/v1/devices", { building_id: id, limit: 50 }, { signal }),
    draw: ({ items }) => items.length && deviceTable(items, clock.now(), { withBuilding: false }),
  });
  const again = (...parts) => parts.forEach((each) => each.refresh());
  return {
    title: id,
    buildingId: id,
    parts: [about, current, curves, accuracy, alerts, devices],
    elements: [
      pageHead(id, null, h("p", {}, h("a", { href: "#/" }, "All buildings"))),
      about.element,
      card(
        "Forecast and actual energy",
        null,
        controls(
          context,
          asked,
          () => again(curves),
          () => again(curves, current),
        ),
        curves.element,
      ),
      h(
        "div",
        { class: "columns" },
        h(
          "div",
          { class: "stack" },
          card("This forecast", null, current.element),
          card("Open alerts", null, alerts.element),
        ),
        card("How good its forecasts are", "The last 28 days", accuracy.element),
      ),
      card("Devices", null, devices.element),
    ],
  };
}

/** A time as the API takes it, from an address that anybody may have written. */
function instantOrNull(text) {
  const time = new Date(text ?? NaN);
  return Number.isNaN(time.getTime()) ? null : time.toISOString();
}

/** The forecast, or null where none had been issued. */
async function forecastOrNone(path, asOf, signal) {
  try {
    return await get(`${path}/forecast`, { as_of: asOf }, { signal });
  } catch (error) {
    if (error instanceof ApiError && error.status === 404) return null;
    throw error;
  }
}

function controls(context, asked, redraw, reissue) {
  const change = (name, then) => (value) => {
    context.remember({ [name]: value });
    then();
  };
  const time = field(
    "As issued at (UTC)",
    asked.asOf()?.slice(0, 16) ?? "",
    (value) => change("as_of", reissue)(value && `${value.slice(0, 16)}:00Z`),
    { type: "datetime-local", step: 3600 },
  );
  const now = () => {
    time.querySelector("input").value = "";
    change("as_of", reissue)("");
  };
  return h(
    "div",
    { class: "controls" },
    choice("Range before it", RANGES, String(asked.days()), change("days", redraw)),
    select("Past forecasts made ahead by", LEADS, asked.lead(), change("lead", redraw)),
    time,
    h("button", { type: "button", on: { click: now } }, "The newest"),
  );
}

function facts(building) {
  const { site, building_type: type, timezone, country, open_alerts: alerts } = building;
  const parts = [words(type), site && `site ${site}`, country, timezone ?? "time zone not known: UTC"].filter(Boolean);
  return h(
    "div",
    { class: "badges" },
    alerts
      ? badge("bad", `${number(alerts)} open ${alerts === 1 ? "alert" : "alerts"}`)
      : badge("good", "No open alert"),
    building.method === "model"
      ? badge("accent", "Forecast by the model")
      : badge("warn", building.method ? METHODS[building.method] : "No forecast yet"),
    h("span", { class: "muted" }, parts.join(" · ")),
  );
}

/** `isOfThen`: it was asked for as it was issued at a past time, where it is no fault that it is old. */
function forecastFacts(forecast, { isOfThen }) {
  const { method, warnings } = forecast;
  const rows = [
    ["Made by", [METHODS[method] ?? method, " ", h("span", { class: "muted" }, METHOD_NOTES[method] ?? "")]],
    ["Model", `${forecast.model_name} ${forecast.model_version}`],
    ["First hour", moment(forecast.origin)],
    [
      "Issued at",
      [
        moment(forecast.issued_at),
        " ",
        forecast.is_stale && !isOfThen ? badge("warn", "Stale: a newer one should be there") : "",
      ],
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
          warnings.map((each) => h("li", {}, WARNINGS[each] ?? words(each))),
        )
      : note("None: it is as good as it gets."),
  ];
}
