// Rows of `health` by subject and time, and rows of accuracy taken together.

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

/** Lines for a chart, one per subject: [{name, points}], in the order of time, which is `at(row)`. */
export function bySubject(items, at = (row) => row.as_of) {
  const subjects = [...new Set(items.map(({ subject }) => subject))].sort();
  return subjects.map((name) => ({
    name,
    points: items
      .filter(({ subject }) => subject === name)
      .map((row) => [Date.parse(at(row)), row.value])
      .sort(([a], [b]) => a - b),
  }));
}

const STROKES = ["", " dashed", " dotted"];

/** The look of the i-th line: five colours, whole, then dashed, then dotted. */
export const markOf = (i) => `s-${(i % 5) + 1}${STROKES[Math.floor(i / 5) % STROKES.length]}`;

/** The mean of a column of accuracy over rows that have a value, such as those of several models, weighted by their hours. */
export function weighted(rows, column) {
  const known = rows.filter((row) => Number.isFinite(row[column]));
  const hours = known.reduce((sum, row) => sum + row.hours, 0);
  return hours ? known.reduce((sum, row) => sum + row[column] * row.hours, 0) / hours : null;
}
