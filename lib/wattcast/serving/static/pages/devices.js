// Devices: which are silent, stuck, noisy, late or send what is rejected.

import { get } from "../api.js";
import { minute, now } from "../clock.js";
import { h } from "../dom.js";
import { choice, field } from "../controls.js";
import { badge, buildingLink, card, pageHead, pages, table } from "../parts.js";
import { DEVICE_STATES, ago, brokenRule, number, percent } from "../words.js";

const STATES = [
  ["", "All"],
  ["silent", "Silent"],
  ["stuck", "Stuck"],
  ["noisy", "Noisy"],
  ["late", "Late"],
  ["rejected", "Rejected"],
  ["ok", "OK"],
];

const rejectedLink = ({ device_id: id, rejected_24h: count }) =>
  count ? h("a", { href: `#/quality?device_id=${encodeURIComponent(id)}` }, number(count)) : "0";

const gaps = ({ gaps_24h: count, longest_gap_minutes: longest }) =>
  count ? `${number(count)} (${number(longest, "min")} at most)` : "0";

export function deviceTable(items, now, { withBuilding = true } = {}) {
  const columns = [
    { name: "Device", cell: (row) => row.device_id },
    withBuilding && { name: "Building", cell: (row) => buildingLink(row.building_id) },
    { name: "State", cell: ({ state }) => badge(...(DEVICE_STATES[state] ?? ["", state])) },
    { name: "Last seen", tight: true, cell: (row) => ago(row.last_seen_at, now) },
    { name: "Readings, 24\u00a0h", number: true, cell: (row) => number(row.readings_24h) },
    { name: "Rejected, 24\u00a0h", number: true, cell: rejectedLink },
    { name: "Gaps, 24\u00a0h", number: true, cell: gaps },
    { name: "Late", number: true, cell: (row) => percent(row.late_share, 0) },
    { name: "Same value for", number: true, cell: (row) => number(row.stuck_hours, "h") },
    { name: "Noise", number: true, cell: (row) => percent(row.noise, 0) },
    {
      name: "Last rejected for",
      wide: withBuilding,
      cell: ({ last_rejected_for: rules }) => (rules?.length ? [rules].flat().map(brokenRule).join("; ") : "–"),
    },
  ];
  return table("Devices", columns.filter(Boolean), items);
}

export default function devices(context) {
  const { query } = context;
  const state = () => context.chosen("state", STATES, "");
  const list = pages({
    empty: "No device matches.",
    now: minute,
    fetchPage: (cursor, signal) =>
      get("/v1/devices", { state: state(), building_id: query.get("building_id"), limit: 50, cursor }, { signal }),
    draw: (items) => deviceTable(items, now()),
  });
  const change = (name) => (value) => {
    context.remember({ [name]: value });
    list.restart();
  };
  return {
    title: "Devices",
    parts: [list],
    elements: [
      pageHead(
        "Devices",
        "Silent: nothing has arrived for too long. Stuck: hours of one and the same value. Noisy: its energy spikes from reading to reading. Late: readings come after their hour has closed. Rejected: many of its records break the contract.",
      ),
      card(
        "Devices",
        null,
        h(
          "div",
          { class: "controls" },
          choice("State", STATES, state(), change("state")),
          field("Of one building (its id)", query.get("building_id") ?? "", change("building_id")),
        ),
        list.element,
      ),
    ],
  };
}
