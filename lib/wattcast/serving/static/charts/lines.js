// Lines and bands over time or over a number, such as lead hours.

import { s } from "../dom.js";
import { level, moment, number, shortLevel } from "../words.js";
import { chart } from "./frame.js";
import { linear, ticks, timeTicks, weekends } from "./scales.js";

const LEFT = 46;
const RIGHT = 8;
const TOP = 16;
const BOTTOM = 24;
const SHORT_FROM = 100000;

/**
 * `series`: [{name, mark, points: [[x, y]], band: [[x, low, high]]}], where y may be null (the line breaks there) and `mark` is a
 * class of charts.css. x is a time in milliseconds if `zone` is given, else a number that `xName` names. `marks`: [{at, label}] are
 * vertical lines, `references`: [{at, label}] horizontal ones. `format` writes a value, `unit` stands in the title. A line over
 * time breaks where a value is missing: at one and a half of `step`, in milliseconds, else at three usual steps.
 */
export function lineChart(options) {
  const { series, zone, unit, xName = "", format = number, height } = options;
  const title = unit ? `${options.title}, ${unit}` : options.title;
  const stops = [...new Set(series.flatMap(({ points = [], band = [] }) => [...points, ...band].map(([x]) => x)))].sort(
    (a, b) => a - b,
  );
  const nameOf = zone ? (x) => moment(x, zone) : (x) => `${xName} ${number(x)}`;
  const read = series.map(reader(format));
  const drawn = zone ? series.map((each) => broken(each, options.step)) : series;
  return chart({
    title,
    height,
    legend: series.map(({ name, mark, band, points }) => ({ name, mark: points ? mark : undefined, band })),
    draw: (svg, width) =>
      plotted(svg, width, { ...options, series: drawn, format, stops, nameOf, read, height: height ?? 240 }),
    table: () => ({
      columns: [zone ? "Time" : xName, ...series.map(({ name }) => name)],
      rows: stops.map((x) => [nameOf(x), ...read.map((at) => at(x) ?? "–")]),
    }),
  });
}

/** A series over time with an empty value wherever it lacks some. */
function broken({ points, band, ...others }, step) {
  return { ...others, ...(points && { points: withGaps(points, step) }), ...(band && { band: withGaps(band, step) }) };
}

function withGaps(points, step) {
  const steps = points.slice(1).map(([at], i) => at - points[i][0]);
  const most = step ? 1.5 * step : 3 * steps.toSorted((a, b) => a - b)[Math.floor(steps.length / 2)];
  return points.flatMap((point, i) => (most && steps[i] > most ? [point, [point[0] + most / 2, null, null]] : [point]));
}

/** What a series says at x as text, or null. */
function reader(format) {
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

function extent(series, references, fromZero) {
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

function plotted(
  svg,
  width,
  { series, stops, zone, marks = [], references = [], fromZero = true, nameOf, read, format, height },
) {
  const [bottom, right] = [height - BOTTOM, width - RIGHT];
  const levels = ticks(...extent(series, references, fromZero), height < 150 ? 3 : 4);
  const writeLevel = Math.max(...levels.map(Math.abs)) >= SHORT_FROM ? shortLevel : level;
  const domain = stops.length ? [stops[0], stops.at(-1)] : [0, 1];
  const x = linear(domain, [LEFT, right]);
  const y = linear([levels[0], levels.at(-1)], [bottom, TOP]);
  const count = Math.max(2, Math.floor((width - LEFT) / 76));
  const names = zone
    ? timeTicks(...domain, count, zone)
    : ticks(...domain, count)
        .filter((at) => at >= domain[0] && at <= domain[1] && Number.isInteger(at))
        .map((at) => ({ at, label: number(at) }));
  if (zone && domain[1] - domain[0] > 40 * 3600000) {
    svg.append(
      ...weekends(...domain, zone).map(([from, to]) =>
        s("rect", { class: "weekend", x: x(from), y: TOP, width: x(to) - x(from), height: bottom - TOP }),
      ),
    );
  }
  svg.append(
    ...levels.flatMap((at) => [
      s("line", { class: at === 0 ? "axis" : "grid", x1: LEFT, x2: right, y1: y(at), y2: y(at) }),
      s("text", { x: LEFT - 7, y: y(at) + 4, "text-anchor": "end" }, format === number ? writeLevel(at) : format(at)),
    ]),
    ...names.map(({ at, label }) => s("text", { x: x(at), y: height - 6, "text-anchor": anchor(x(at), width) }, label)),
    ...references.map(({ at }) => s("line", { class: "reference", x1: LEFT, x2: right, y1: y(at), y2: y(at) })),
    ...series.map(({ band }) => (band ? s("path", { class: "area", d: area(band, x, y) }) : "")),
    ...series.flatMap(({ mark, points = [] }) => line(points, mark, x, y)),
    ...marks
      .filter(({ at }) => at >= domain[0] && at <= domain[1])
      .flatMap(({ at, label }) => [
        s("line", { class: "mark", x1: x(at), x2: x(at), y1: TOP - 4, y2: bottom }),
        s("text", { x: x(at), y: TOP - 7, "text-anchor": anchor(x(at), width) }, label),
      ]),
    ...references.map(({ at, label }) => s("text", { x: LEFT + 4, y: y(at) - 5 }, label)),
    s("line", { class: "cursor", y1: TOP, y2: bottom, visibility: "hidden" }),
  );
  const cursor = svg.lastChild;
  return {
    stops,
    nearest: (px) =>
      stops.reduce((best, at, i) => (Math.abs(x(at) - px) < Math.abs(x(stops[best]) - px) ? i : best), 0),
    show: (index) => {
      const at = stops[index];
      cursor.setAttribute("visibility", "visible");
      cursor.setAttribute("x1", x(at));
      cursor.setAttribute("x2", x(at));
      return {
        x: x(at),
        y: TOP,
        title: nameOf(at),
        rows: series.map(({ name }, i) => [name, read[i](at)]).filter(([, value]) => value !== null),
      };
    },
  };
}

const anchor = (x, width) => (x > width - 40 ? "end" : x < LEFT + 12 ? "start" : "middle");

/** A path, broken where a value is missing; a value between two missing ones is a dot. */
function line(points, mark, x, y) {
  const runs = [[]];
  for (const [at, value] of points) {
    if (Number.isFinite(value)) runs.at(-1).push([at, value]);
    else if (runs.at(-1).length) runs.push([]);
  }
  const path = runs
    .filter((run) => run.length > 1)
    .map((run) => `M${run.map(([a, b]) => `${x(a).toFixed(1)} ${y(b).toFixed(1)}`).join("L")}`)
    .join("");
  const dots = runs
    .filter((run) => run.length === 1)
    .map(([[a, b]]) => s("circle", { class: `dot-mark ${mark}`, cx: x(a), cy: y(b), r: 2.5 }));
  return [s("path", { class: `path ${mark}`, d: path }), ...dots];
}

/** The area between low and high, broken where either is missing. */
function area(band, x, y) {
  const runs = [[]];
  for (const each of band) {
    if (Number.isFinite(each[1]) && Number.isFinite(each[2])) runs.at(-1).push(each);
    else if (runs.at(-1).length) runs.push([]);
  }
  const point = (a, b) => `${x(a).toFixed(1)} ${y(b).toFixed(1)}`;
  return runs
    .filter((run) => run.length)
    .map((run) => {
      const there = run.map(([at, low]) => point(at, low));
      const back = run.map(([at, , high]) => point(at, high)).reverse();
      return `M${[...there, ...back].join("L")}Z`;
    })
    .join("");
}
