// Alerts: what is wrong now and what was.

import { get } from "../api.js";
import { minute, now } from "../clock.js";
import { h } from "../dom.js";
import { choice, field } from "../controls.js";
import { badge, card, pageHead, pages, subjectLink, table } from "../parts.js";
import { alertValue, duration, moment, words } from "../words.js";

const STATES = [
  ["firing", "Open"],
  ["resolved", "Resolved"],
  ["all", "All"],
];
const LEVELS = { critical: ["bad", "Critical"], warning: ["warn", "Warning"] };

export const severity = (name) => badge(...(LEVELS[name] ?? ["", words(name)]));

/** The short list: what, of whom, since when. */
export function alertList(items, at) {
  return h(
    "ul",
    { class: "alert-list" },
    items.map((alert) =>
      h(
        "li",
        {},
        severity(alert.severity),
        h("p", {}, alert.message),
        h("p", { class: "muted" }, subjectLink(alert), ` · for ${duration((at - new Date(alert.started_at)) / 1000)}`),
      ),
    ),
  );
}

const lasted = (alert, at) =>
  duration((new Date(alert.state === "resolved" ? alert.changed_at : at) - new Date(alert.started_at)) / 1000);

export default function alerts(context) {
  const { query } = context;
  const state = () => context.chosen("state", STATES, "firing");
  const list = pages({
    empty: "No alert matches: all is quiet.",
    now: minute,
    fetchPage: (cursor, signal) =>
      get("/v1/alerts", { state: state(), subject: query.get("subject"), limit: 50, cursor }, { signal }),
    draw: (items) =>
      table(
        "Alerts",
        [
          { name: "What", wide: true, cell: ({ message }) => message },
          { name: "Severity", cell: (row) => severity(row.severity) },
          {
            name: "State",
            cell: ({ state }) => (state === "firing" ? badge("bad", "Open") : badge("good", "Resolved")),
          },
          { name: "Subject", breaks: true, cell: subjectLink },
          { name: "Rule", cell: ({ rule }) => words(rule) },
          { name: "Since", cell: (row) => moment(row.started_at) },
          { name: "Lasted", number: true, cell: (row) => lasted(row, now()) },
          { name: "Value", number: true, cell: (row) => alertValue(row.rule, row.value) },
          { name: "Limit", number: true, cell: (row) => alertValue(row.rule, row.threshold) },
        ],
        items,
      ),
  });
  const change = (name) => (value) => {
    context.remember({ [name]: value });
    list.restart();
  };
  return {
    title: "Alerts",
    parts: [list],
    elements: [
      pageHead(
        "Alerts",
        "Raised by the rules in conf/alerts.yaml, one line for each; an alert resolves by itself when what it tells of is over.",
      ),
      card(
        "Alerts",
        null,
        h(
          "div",
          { class: "controls" },
          choice("State", STATES, state(), change("state")),
          field("Of one building, device or query", query.get("subject") ?? "", change("subject")),
        ),
        list.element,
      ),
    ],
  };
}
