// Lines and bands over time or over a number, such as lead hours.

import { s } from "../dom.js";
import { level, moment, number, shortLevel } from "../formats.js";
import { chart } from "./frame.js";
import { areaPath, linePaths } from "./paths.js";
import { linear, ticks, timeTicks, weekends } from "./scales.js";
import { extent, valueReader, withBreaks } from "./series.js";

const LEFT = 46;
const RIGHT = 8;
const TOP = 16;
const BOTTOM = 24;
const HEIGHT = 240;
const SHORT_LEVELS_FROM = 100000;
const TICK_WIDTH = 76;
const MIN_WEEKEND_MS = 40 * 3600000; // below this range weekends are not marked

/**
 * `series`: [{name, mark, points: [[x, y]], band: [[x, low, high]]}]; y may be null, which breaks the line, and `mark` is a class
 * of charts.css. x is a time in milliseconds if `zone` is set, else a number that `xName` names. `marks`: [{at, label}] are
 * vertical lines, `references`: [{at, label}] horizontal ones. `format` writes a value; `unit` is added to the title. A line over
 * time breaks where values are missing: at gaps over 1.5 times `step` (milliseconds), or over 3 median steps without it.
 */
export function lineChart(options) {
  const { series, zone, unit, xName = "", format = number, height } = options;
  const title = unit ? `${options.title}, ${unit}` : options.title;
  const stops = stopsOf(series);
  const stopName = zone ? (x) => moment(x, zone) : (x) => `${xName} ${number(x)}`;
  const readers = series.map(valueReader(format));
  const drawnSeries = zone ? series.map((line) => withBreaks(line, options.step)) : series;
  const plot = { ...options, series: drawnSeries, format, stops, stopName, readers, height: height ?? HEIGHT };
  return chart({
    title,
    height,
    legend: series.map(({ name, mark, band, points }) => ({ name, mark: points ? mark : undefined, band })),
    draw: (svg, width) => drawPlot(svg, width, plot),
    table: () => ({
      columns: [zone ? "Time" : xName, ...series.map(({ name }) => name)],
      rows: stops.map((x) => [stopName(x), ...readers.map((read) => read(x) ?? "–")]),
    }),
  });
}

/** All x of the series, sorted. */
const stopsOf = (series) =>
  [...new Set(series.flatMap(({ points = [], band = [] }) => [...points, ...band].map(([x]) => x)))].sort(
    (a, b) => a - b,
  );

function drawPlot(svg, width, plot) {
  const { series, stops, references = [], fromZero = true, height } = plot;
  const levels = ticks(...extent(series, references, fromZero), height < 150 ? 3 : 4);
  const domain = stops.length ? [stops[0], stops.at(-1)] : [0, 1];
  const frame = {
    width,
    height,
    domain,
    bottom: height - BOTTOM,
    right: width - RIGHT,
    x: linear(domain, [LEFT, width - RIGHT]),
    y: linear([levels[0], levels.at(-1)], [height - BOTTOM, TOP]),
  };
  svg.append(
    ...weekendAreas(frame, plot.zone),
    ...levelLines(frame, levels, plot.format),
    ...xLabels(frame, plot.zone),
    ...references.map(({ at }) => horizontal(frame, at, "reference")),
    ...series.map(({ band }) => (band ? s("path", { class: "area", d: areaPath(band, frame.x, frame.y) }) : "")),
    ...series.flatMap(({ mark, points = [] }) => linePaths(points, mark, frame.x, frame.y)),
    ...verticalMarks(frame, plot.marks ?? []),
    ...references.map(({ at, label }) => s("text", { x: LEFT + 4, y: frame.y(at) - 5 }, label)),
    s("line", { class: "cursor", y1: TOP, y2: frame.bottom, visibility: "hidden" }),
  );
  return cursorStops(svg.lastChild, frame, plot);
}

const horizontal = ({ right, y }, at, name) => s("line", { class: name, x1: LEFT, x2: right, y1: y(at), y2: y(at) });

function weekendAreas({ domain, x, bottom }, zone) {
  if (!zone || domain[1] - domain[0] <= MIN_WEEKEND_MS) return [];
  return weekends(...domain, zone).map(([from, to]) =>
    s("rect", { class: "weekend", x: x(from), y: TOP, width: x(to) - x(from), height: bottom - TOP }),
  );
}

function levelLines(frame, levels, format) {
  const writeLevel = Math.max(...levels.map(Math.abs)) >= SHORT_LEVELS_FROM ? shortLevel : level;
  const write = format === number ? writeLevel : format;
  return levels.flatMap((at) => [
    horizontal(frame, at, at === 0 ? "axis" : "grid"),
    s("text", { x: LEFT - 7, y: frame.y(at) + 4, "text-anchor": "end" }, write(at)),
  ]);
}

function xLabels({ width, height, domain, x }, zone) {
  const count = Math.max(2, Math.floor((width - LEFT) / TICK_WIDTH));
  const labels = zone
    ? timeTicks(...domain, count, zone)
    : ticks(...domain, count)
        .filter((at) => at >= domain[0] && at <= domain[1] && Number.isInteger(at))
        .map((at) => ({ at, label: number(at) }));
  return labels.map(({ at, label }) =>
    s("text", { x: x(at), y: height - 6, "text-anchor": anchor(x(at), width) }, label),
  );
}

const verticalMarks = ({ domain, x, width, bottom }, marks) =>
  marks
    .filter(({ at }) => at >= domain[0] && at <= domain[1])
    .flatMap(({ at, label }) => [
      s("line", { class: "mark", x1: x(at), x2: x(at), y1: TOP - 4, y2: bottom }),
      s("text", { x: x(at), y: TOP - 7, "text-anchor": anchor(x(at), width) }, label),
    ]);

const anchor = (x, width) => (x > width - 40 ? "end" : x < LEFT + 12 ? "start" : "middle");

/** What the cursor of the frame needs: its stops, the nearest one to a point, and the values at a stop. */
const cursorStops = (cursorLine, { x }, { series, stops, stopName, readers }) => ({
  stops,
  nearest: (px) =>
    stops.reduce((best, at, i) => (Math.abs(x(at) - px) < Math.abs(x(stops[best]) - px) ? i : best), 0),
  show: (index) => {
    const at = stops[index];
    cursorLine.setAttribute("visibility", "visible");
    cursorLine.setAttribute("x1", x(at));
    cursorLine.setAttribute("x2", x(at));
    const rows = series.map(({ name }, i) => [name, readers[i](at)]).filter(([, value]) => value !== null);
    return { x: x(at), y: TOP, title: stopName(at), rows };
  },
});
