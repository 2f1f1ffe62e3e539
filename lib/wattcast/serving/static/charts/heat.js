// A heatmap: rows by columns, a colour for each value.

import { s } from "../dom.js";
import { chart } from "./frame.js";
import { linear } from "./scales.js";

const TOP = 4;
const BOTTOM = 22;
const ROW = 22;
const LABEL = 44; // width of a column name
const LABEL_DISTANCE = 58;
const LETTER = 6.4; // width

/**
 * `rows` and `columns` are names, `values[row][column]` numbers or null. `steps` are the six limits between the
 * colours, from good to bad.
 */
export function heatmap({ title, rows, columns, values, steps, format, legend }) {
  const height = TOP + BOTTOM + ROW * rows.length;
  return chart({
    title,
    height,
    legend,
    draw: (svg, width) => drawCells(svg, width, { rows, columns, values, steps, format, height }),
    table: () => ({ columns: ["", ...columns], rows: rows.map((name, i) => [name, ...values[i].map(format)]) }),
  });
}

const colourClass = (value, steps) =>
  Number.isFinite(value) ? `h-${steps.filter((limit) => value >= limit).length}` : "h-none";

function drawCells(svg, width, { rows, columns, values, steps, format, height }) {
  const left = Math.min(150, width * 0.36);
  const grid = { left, x: linear([0, columns.length], [left, width]), cell: (width - left) / columns.length };
  svg.append(
    ...rowLabels(rows, left),
    ...rows.flatMap((_, i) => columns.map((__, j) => cellAt(grid, i, j, colourClass(values[i][j], steps)))),
    ...columnLabels(columns, grid, width, height),
  );
  return cursorStops(svg, { rows, columns, values, format }, grid);
}

function rowLabels(rows, left) {
  const maxLength = Math.floor((left - 8) / LETTER);
  return rows.map((name, i) =>
    s(
      "text",
      { x: left - 8, y: TOP + ROW * i + 15, "text-anchor": "end" },
      name.length > maxLength ? `${name.slice(0, maxLength - 1)}…` : name,
    ),
  );
}

const cellAt = ({ x, cell }, row, column, colour) =>
  s("rect", { class: `cell ${colour}`, x: x(column), y: TOP + ROW * row, width: cell, height: ROW, rx: 2 });

/** As many column names as fit. */
function columnLabels(columns, { x, cell }, width, height) {
  const every = Math.max(1, Math.ceil(LABEL_DISTANCE / cell));
  return columns.flatMap((name, j) =>
    j % every || x(j) + LABEL > width ? [] : [s("text", { x: x(j), y: height - 6 }, name)],
  );
}

/** What the cursor of the frame needs: a stop per cell, row by row. */
function cursorStops(svg, { rows, columns, values, format }, { left, x, cell }) {
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
      const value = [columns[column], format(values[row][column])];
      return { x: x(column + 1), y: TOP + ROW * row, title: rows[row], rows: [value] };
    },
  };
}
