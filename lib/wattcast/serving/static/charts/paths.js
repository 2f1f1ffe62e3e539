// SVG paths of lines and bands.

import { s } from "../dom.js";

/** The runs of consecutive items for which `isComplete` is true. */
function runsOf(items, isComplete) {
  const runs = [[]];
  for (const item of items) {
    if (isComplete(item)) runs.at(-1).push(item);
    else if (runs.at(-1).length) runs.push([]);
  }
  return runs.filter((run) => run.length);
}

/** A path that breaks where a value is missing; a value between two missing ones is a dot. */
export function linePaths(points, mark, x, y) {
  const runs = runsOf(points, ([, value]) => Number.isFinite(value));
  const path = runs
    .filter((run) => run.length > 1)
    .map((run) => `M${run.map(([at, value]) => `${x(at).toFixed(1)} ${y(value).toFixed(1)}`).join("L")}`)
    .join("");
  const dots = runs
    .filter((run) => run.length === 1)
    .map(([[at, value]]) => s("circle", { class: `dot-mark ${mark}`, cx: x(at), cy: y(value), r: 2.5 }));
  return [s("path", { class: `path ${mark}`, d: path }), ...dots];
}

/** The area between low and high, which breaks where either is missing. */
export function areaPath(band, x, y) {
  const point = (at, value) => `${x(at).toFixed(1)} ${y(value).toFixed(1)}`;
  return runsOf(band, ([, low, high]) => Number.isFinite(low) && Number.isFinite(high))
    .map((run) => {
      const lower = run.map(([at, low]) => point(at, low));
      const upper = run.map(([at, , high]) => point(at, high)).reverse();
      return `M${[...lower, ...upper].join("L")}Z`;
    })
    .join("");
}
