// Rejected readings, filtered by rule, building and device.

import { ApiError, get } from "../api.js";
import * as clock from "../clock.js";
import { field, select } from "../controls.js";
import { h } from "../dom.js";
import { moment, number } from "../formats.js";
import { rejectionRule } from "../labels.js";
import { pagedPanel } from "../panel.js";
import { buildingLink, table } from "../parts.js";

const PAGE_ROWS = 25;
const RULE_DAYS = 28;

export function rejectedPanel({ query }, days) {
  const filter = () => ({
    rule: query.get("rule"),
    building_id: query.get("building_id"),
    device_id: query.get("device_id"),
    from: clock.since(days()),
  });
  return pagedPanel({
    empty: "No rejected reading matches the selection.",
    fetchPage: (cursor, signal) => get("/v1/rejected", { ...filter(), limit: PAGE_ROWS, cursor }, { signal }),
    draw: (items) => table("Rejected readings", COLUMNS, items),
  });
}

export function rejectedControls(context, list) {
  const { query } = context;
  const change = (name) => (value) => {
    context.remember({ [name]: value });
    list.restart();
  };
  return h(
    "div",
    { class: "controls" },
    ruleSelect(query.get("rule") ?? "", change("rule")),
    field("Building id", query.get("building_id") ?? "", change("building_id")),
    field("Device id", query.get("device_id") ?? "", change("device_id")),
  );
}

/** A choice among the rules that were broken in the last RULE_DAYS, which are loaded at the first focus. */
function ruleSelect(selected, onChange) {
  const options = [["", "All"], ...(selected ? [[selected, rejectionRule(selected)]] : [])];
  const element = select("Rule", options, selected, onChange);
  let loading = null;
  const addRules = async () => {
    const { items } = await get("/v1/rejected/summary", { from: clock.since(RULE_DAYS) });
    const others = items.map(({ rule }) => rule).filter((rule) => rule !== selected);
    element.querySelector("select").append(...others.map((rule) => h("option", { value: rule }, rejectionRule(rule))));
  };
  element.addEventListener("focusin", () => {
    loading ??= addRules().catch((error) => {
      if (!(error instanceof ApiError)) throw error;
      loading = null; // the next focus tries again
    });
  });
  return element;
}

const position = (row) => `${row.kafka_topic} ${row.kafka_partition}:${row.kafka_offset}`;

const ruleList = (rules) =>
  h(
    "ul",
    {},
    rules.map((rule) => h("li", {}, rejectionRule(rule))),
  );

const payloadDetails = (row) =>
  h(
    "details",
    { data: { key: position(row) } },
    h("summary", {}, `Payload, ${number(row.payload_bytes)} bytes`),
    h("pre", { tabindex: "0" }, row.payload ?? ""),
  );

const COLUMNS = [
  { name: "Arrived", tight: true, cell: (row) => moment(row.kafka_timestamp) },
  { name: "Building", cell: (row) => (row.building_id ? buildingLink(row.building_id) : "not readable") },
  { name: "Device", breaks: true, cell: (row) => row.device_id ?? "–" },
  { name: "Why", cell: (row) => ruleList(row.rejected_for) },
  { name: "As it was sent", wide: true, cell: payloadDetails },
  { name: "Topic, partition and offset", cell: (row) => h("span", { class: "mono small" }, position(row)) },
];
