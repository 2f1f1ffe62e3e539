// Alerts: open and resolved.

import { get } from "../api.js";
import { minute, now } from "../clock.js";
import { choice, field } from "../controls.js";
import { h } from "../dom.js";
import { duration, moment } from "../formats.js";
import { alertValue, words } from "../labels.js";
import { pagedPanel } from "../panel.js";
import { badge, card, pageHead, subjectLink, table } from "../parts.js";

const PAGE_ROWS = 50;
const STATES = [
  ["firing", "Open"],
  ["resolved", "Resolved"],
  ["all", "All"],
];
const SEVERITIES = { critical: ["bad", "Critical"], warning: ["warn", "Warning"] };

const severityBadge = (name) => badge(...(SEVERITIES[name] ?? ["", words(name)]));

/** A short list: severity, message, subject and age. */
export function alertList(items, at) {
  return h(
    "ul",
    { class: "alert-list" },
    items.map((alert) =>
      h(
        "li",
        {},
        severityBadge(alert.severity),
        h("p", {}, alert.message),
        h("p", { class: "muted" }, subjectLink(alert), ` · for ${duration((at - new Date(alert.started_at)) / 1000)}`),
      ),
    ),
  );
}

const durationOf = (alert, at) =>
  duration((new Date(alert.state === "resolved" ? alert.changed_at : at) - new Date(alert.started_at)) / 1000);

const COLUMNS = [
  { name: "Message", wide: true, cell: ({ message }) => message },
  { name: "Severity", cell: (row) => severityBadge(row.severity) },
  {
    name: "State",
    cell: ({ state }) => (state === "firing" ? badge("bad", "Open") : badge("good", "Resolved")),
  },
  { name: "Subject", breaks: true, cell: subjectLink },
  { name: "Rule", cell: ({ rule }) => words(rule) },
  { name: "Since", cell: (row) => moment(row.started_at) },
  { name: "Duration", number: true, cell: (row) => durationOf(row, now()) },
  { name: "Value", number: true, cell: (row) => alertValue(row.rule, row.value) },
  { name: "Limit", number: true, cell: (row) => alertValue(row.rule, row.threshold) },
];

export default function alerts(context) {
  const { query } = context;
  const state = () => context.selected("state", STATES, "firing");
  const list = pagedPanel({
    empty: "No alert matches the selection.",
    now: minute,
    fetchPage: (cursor, signal) =>
      get("/v1/alerts", { state: state(), subject: query.get("subject"), limit: PAGE_ROWS, cursor }, { signal }),
    draw: (items) => table("Alerts", COLUMNS, items),
  });
  const change = (name) => (value) => {
    context.remember({ [name]: value });
    list.restart();
  };
  const controls = h(
    "div",
    { class: "controls" },
    choice("State", STATES, state(), change("state")),
    field("Building, device or query", query.get("subject") ?? "", change("subject")),
  );
  return {
    title: "Alerts",
    panels: [list],
    elements: [
      pageHead(
        "Alerts",
        "The rules in conf/alerts.yaml raise alerts. An alert resolves by itself when its condition no longer holds.",
      ),
      card("Alerts", null, controls, list.element),
    ],
  };
}
