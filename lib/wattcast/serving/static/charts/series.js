// Series of a line chart: breaks at gaps, values as text, and their extent.

/** A series over time with an empty value in each gap. */
export function withBreaks({ points, band, ...others }, step) {
  return {
    ...others,
    ...(points && { points: brokenAtGaps(points, step) }),
    ...(band && { band: brokenAtGaps(band, step) }),
  };
}

function brokenAtGaps(points, step) {
  const steps = points.slice(1).map(([at], i) => at - points[i][0]);
  const maxStep = step ? 1.5 * step : 3 * steps.toSorted((a, b) => a - b)[Math.floor(steps.length / 2)];
  return points.flatMap((point, i) =>
    maxStep && steps[i] > maxStep ? [point, [point[0] + maxStep / 2, null, null]] : [point],
  );
}

/** For a series, a function from x to its value as text, or null. */
export function valueReader(format) {
  return ({ points = [], band = [] }) => {
    const values = new Map(points.filter(([, y]) => y !== null && y !== undefined));
    const bands = new Map(band.map(([x, low, high]) => [x, [low, high]]));
    return (x) => {
      const [low, high] = bands.get(x) ?? [null, null];
      const parts = [
        values.has(x) && format(values.get(x)),
        low !== null && low !== undefined && `${format(low)} to ${format(high)}`,
      ];
      return parts.filter(Boolean).join(", ") || null;
    };
  };
}

/** The lowest and the highest value of all series and references. */
export function extent(series, references, fromZero) {
  const values = series.flatMap(({ points = [], band = [] }) => [
    ...points.map(([, y]) => y),
    ...band.flatMap(([, low, high]) => [low, high]),
  ]);
  const finite = [...values, ...references.map(({ at }) => at)].filter((value) => Number.isFinite(value));
  if (!finite.length) return [0, 1];
  const low = finite.reduce((a, b) => Math.min(a, b));
  const high = finite.reduce((a, b) => Math.max(a, b));
  return fromZero ? [Math.min(0, low), Math.max(0, high)] : [low, high];
}
