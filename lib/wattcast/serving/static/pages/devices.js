// Devices: which are silent, stuck, noisy or late, and which send records that are rejected.

import { get } from "../api.js";
import { minute, now } from "../clock.js";
import { choice, field } from "../controls.js";
import { h } from "../dom.js";
import { ago, number, percent } from "../formats.js";
import { DEVICE_STATES, rejectionRule } from "../labels.js";
import { pagedPanel } from "../panel.js";
import { badge, buildingLink, card, pageHead, table } from "../parts.js";

const PAGE_ROWS = 50;
const STATES = [
  ["", "All"],
  ["silent", "Silent"],
  ["stuck", "Stuck"],
  ["noisy", "Noisy"],
  ["late", "Late"],
  ["rejected", "Rejected"],
  ["ok", "OK"],
];
const EXPLANATION =
  "Silent: no record has arrived for too long. Stuck: the same value for hours. Noisy: the energy jumps from reading to " +
  "reading. Late: readings arrive after their hour has closed. Rejected: many records break the data contract.";

const rejectedLink = ({ device_id: id, rejected_24h: count }) =>
  count ? h("a", { href: `#/quality?device_id=${encodeURIComponent(id)}` }, number(count)) : "0";

const gaps = ({ gaps_24h: count, longest_gap_minutes: longest }) =>
  count ? `${number(count)} (up to ${number(longest, "min")})` : "0";

export function deviceTable(items, currentTime, { withBuilding = true } = {}) {
  const columns = [
    { name: "Device", cell: (row) => row.device_id },
    withBuilding && { name: "Building", cell: (row) => buildingLink(row.building_id) },
    { name: "State", cell: ({ state }) => badge(...(DEVICE_STATES[state] ?? ["", state])) },
    { name: "Last seen", tight: true, cell: (row) => ago(row.last_seen_at, currentTime) },
    { name: "Readings, 24\u00a0h", number: true, cell: (row) => number(row.readings_24h) },
    { name: "Rejected, 24\u00a0h", number: true, cell: rejectedLink },
    { name: "Gaps, 24\u00a0h", number: true, cell: gaps },
    { name: "Late", number: true, cell: (row) => percent(row.late_share, 0) },
    { name: "Same value for", number: true, cell: (row) => number(row.stuck_hours, "h") },
    { name: "Noise", number: true, cell: (row) => percent(row.noise, 0) },
    {
      name: "Last rejected for",
      wide: withBuilding,
      cell: ({ last_rejected_for: rules }) => (rules?.length ? [rules].flat().map(rejectionRule).join("; ") : "–"),
    },
  ];
  return table("Devices", columns.filter(Boolean), items);
}

export default function devices(context) {
  const { query } = context;
  const state = () => context.selected("state", STATES, "");
  const list = pagedPanel({
    empty: "No device matches the selection.",
    now: minute,
    fetchPage: (cursor, signal) =>
      get(
        "/v1/devices",
        { state: state(), building_id: query.get("building_id"), limit: PAGE_ROWS, cursor },
        { signal },
      ),
    draw: (items) => deviceTable(items, now()),
  });
  const change = (name) => (value) => {
    context.remember({ [name]: value });
    list.restart();
  };
  const controls = h(
    "div",
    { class: "controls" },
    choice("State", STATES, state(), change("state")),
    field("Building id", query.get("building_id") ?? "", change("building_id")),
  );
  return {
    title: "Devices",
    panels: [list],
    elements: [pageHead("Devices", EXPLANATION), card("Devices", null, controls, list.element)],
  };
}
