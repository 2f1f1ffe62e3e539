// What pages share about measurements of the monitor: requests, series by subject, and values by day.

import { all } from "../api.js";

export const NOT_MEASURED = "Not measured yet: start the monitor job.";

/** The latest measurement of each subject. */
export const latestOf = (measure, scope, signal) =>
  all("/v1/health", { measure, scope, latest: true }, { signal });

/** The newest value of each subject and UTC day: {days (sorted), subjects (sorted), values[subject][day]}. */
export function byDay(items) {
  const newest = new Map();
  for (const { as_of: at, subject, value } of items) {
    const key = JSON.stringify([subject, at.slice(0, 10)]);
    if (!newest.has(key) || newest.get(key).at < at) newest.set(key, { at, value });
  }
  const days = [...new Set(items.map((item) => item.as_of.slice(0, 10)))].sort();
  const subjects = [...new Set(items.map(({ subject }) => subject))].sort();
  const values = subjects.map((subject) =>
    days.map((day) => newest.get(JSON.stringify([subject, day]))?.value ?? null),
  );
  return { days, subjects, values };
}

/** Chart lines, one per subject: [{name, points}], sorted by the time of a row, `timeOf(row)`. */
export function bySubject(items, timeOf = (row) => row.as_of) {
  const subjects = [...new Set(items.map(({ subject }) => subject))].sort();
  return subjects.map((name) => ({
    name,
    points: items
      .filter(({ subject }) => subject === name)
      .map((row) => [Date.parse(timeOf(row)), row.value])
      .sort(([a], [b]) => a - b),
  }));
}

const STROKES = ["", " dashed", " dotted"];

/** The style of the i-th line: five colours, first solid, then dashed, then dotted. */
export const markOf = (i) => `s-${(i % 5) + 1}${STROKES[Math.floor(i / 5) % STROKES.length]}`;

/** Chart lines by subject with the i-th style each. */
export const markedSeries = (items, timeOf) =>
  bySubject(items, timeOf).map((line, i) => ({ ...line, mark: markOf(i) }));

/** The mean of a column of accuracy rows, such as those of several models, weighted by their hours; null without values. */
export function weightedMean(rows, column) {
  const withValue = rows.filter((row) => Number.isFinite(row[column]));
  const hours = withValue.reduce((sum, row) => sum + row.hours, 0);
  return hours ? withValue.reduce((sum, row) => sum + row[column] * row.hours, 0) / hours : null;
}
