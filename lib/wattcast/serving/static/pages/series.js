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

/** Lines for a chart, one per subject: [{name, points}], in the order of time. */
export function bySubject(items) {
  const subjects = [...new Set(items.map(({ subject }) => subject))].sort();
  return subjects.map((name) => ({
    name,
    points: items
      .filter(({ subject }) => subject === name)
      .map(({ as_of: at, value }) => [Date.parse(at), value])
      .sort(([a], [b]) => a - b),
  }));
}

/** The mean of a column of accuracy over rows that have a value, such as those of several models, weighted by their hours. */
export function weighted(rows, column) {
  const known = rows.filter((row) => Number.isFinite(row[column]));
  const hours = known.reduce((sum, row) => sum + row.hours, 0);
  return hours ? known.reduce((sum, row) => sum + row[column] * row.hours, 0) / hours : null;
}
