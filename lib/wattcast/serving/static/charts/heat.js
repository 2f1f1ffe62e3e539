// A heatmap: rows by columns, a colour for each value.

import { s } from "../dom.js";
import { chart } from "./frame.js";
import { linear } from "./scales.js";

const TOP = 4;
const BOTTOM = 22;
const ROW = 22;
const LABEL = 44; // wide

/**
 * `rows` and `columns` are names, `values[row][column]` numbers or null. `steps` are the six limits between the colours, from
 * good to bad.
 */
export function heatmap({ title, rows, columns, values, steps, format, legend }) {
  const height = TOP + BOTTOM + ROW * rows.length;
  return chart({
    title,
    height,
    legend,
    draw: (svg, width) => plotted(svg, width, { rows, columns, values, steps, format, height }),
    table: () => ({ columns: ["", ...columns], rows: rows.map((name, i) => [name, ...values[i].map(format)]) }),
  });
}

const level = (value, steps) =>
  Number.isFinite(value) ? `h-${steps.filter((limit) => value >= limit).length}` : "h-none";

function plotted(svg, width, { rows, columns, values, steps, format, height }) {
  const left = Math.min(150, width * 0.36);
  const x = linear([0, columns.length], [left, width]);
  const cell = (width - left) / columns.length;
  const every = Math.max(1, Math.ceil(58 / cell));
  const letters = Math.floor((left - 8) / 6.4);
  svg.append(
    ...rows.map((name, i) =>
      s(
        "text",
        { x: left - 8, y: TOP + ROW * i + 15, "text-anchor": "end" },
        name.length > letters ? `${name.slice(0, letters - 1)}…` : name,
      ),
    ),
    ...rows.flatMap((_, i) =>
      columns.map((__, j) =>
        s("rect", {
          class: `cell ${level(values[i][j], steps)}`,
          x: x(j),
          y: TOP + ROW * i,
          width: cell,
          height: ROW,
          rx: 2,
        }),
      ),
    ),
    ...columns.flatMap((name, j) =>
      j % every || x(j) + LABEL > width ? [] : [s("text", { x: x(j), y: height - 6 }, name)],
    ),
  );
  const cells = svg.querySelectorAll(".cell");
  return {
    stops: rows.flatMap((row) => columns.map((column) => `${row} ${column}`)),
    nearest: (px, py) => {
      const column = Math.max(0, Math.min(columns.length - 1, Math.floor((px - left) / cell)));
      const row = Math.max(0, Math.min(rows.length - 1, Math.floor((py - TOP) / ROW)));
      return row * columns.length + column;
    },
    move: (index, key) => ({ ArrowUp: index - columns.length, ArrowDown: index + columns.length })[key],
    show: (index) => {
      const [row, column] = [Math.floor(index / columns.length), index % columns.length];
      svg.querySelector(".chosen")?.classList.remove("chosen");
      cells[index].classList.add("chosen");
      return {
        x: x(column + 1),
        y: TOP + ROW * row,
        title: rows[row],
        rows: [[columns[column], format(values[row][column])]],
      };
    },
  };
}
