// What all charts share: caption, legend, a width that follows the page, a cursor for pointer and keyboard, and a table.

import { h, s } from "../dom.js";

/**
 * A figure whose plot is drawn again by `draw(svg, width)` when its width changes.
 *
 * `draw` returns `{stops, nearest(x, y), show(index)}`: the names of the cursor's stops, the index of the stop nearest to a point
 * in pixels, and what to show at a stop as `{x, y, title, rows: [[name, value]]}`. An optional `move(index, key)` returns the stop
 * that an arrow key leads to. `table()` returns `{columns, rows}`; it is called when the table is opened.
 */
export function chart({ title, legend = [], draw, table, height = 240 }) {
  const svg = s("svg", { height, "aria-hidden": "true" });
  const tip = h("div", { class: "tip", hidden: true });
  const plot = h(
    "div",
    {
      class: "plot",
      tabindex: "0",
      role: "slider",
      "aria-label": `${title}: read values with the arrow keys`,
      "aria-valuemin": "0",
      "aria-valuemax": "0",
      "aria-valuenow": "0",
      "aria-valuetext": "Press an arrow key to read values",
    },
    svg,
    tip,
  );
  const cursor = plotCursor(plot, tip);
  drawOnResize(svg, plot, height, (width) => cursor.setDrawing(draw(svg, width)));
  return h(
    "figure",
    { class: "chart" },
    h("figcaption", {}, h("span", {}, title), legend.length > 1 ? h("ul", { class: "legend" }, legend.map(legendEntry)) : null),
    plot,
    tableDetails(title, table),
  );
}

function legendEntry({ name, mark, band }) {
  const isFilled = band || mark.startsWith("h-");
  const sample = isFilled
    ? s("rect", { class: band ? "area" : mark, x: 1, y: 1, width: 18, height: 10, rx: 2 })
    : s("line", { class: `path ${mark}`, x1: 1, x2: 19, y1: 6, y2: 6 });
  return h("li", {}, s("svg", { "aria-hidden": "true", viewBox: "0 0 20 12" }, sample), name);
}

/** Draws when the plot gets its first width, and whenever its width changes. */
function drawOnResize(svg, plot, height, draw) {
  let drawnWidth = 0;
  new ResizeObserver(([entry]) => {
    const width = Math.round(entry.contentRect.width);
    if (!width || width === drawnWidth) return;
    drawnWidth = width;
    svg.setAttribute("viewBox", `0 0 ${width} ${height}`);
    svg.replaceChildren();
    draw(width);
  }).observe(plot);
}

/**
 * The cursor of a plot; `setDrawing(drawing)` gives it the newest drawing. The name of its stop is stored in the plot's dataset, so
 * that a plot that replaces this one can show the same stop.
 */
function plotCursor(plot, tip) {
  let drawing = null;
  let index = null;
  const show = (stop) => {
    if (!drawing?.stops.length) return;
    index = Math.max(0, Math.min(drawing.stops.length - 1, stop));
    plot.dataset.stop = drawing.stops[index];
    plot.setAttribute("aria-valuenow", index);
    showValues(plot, tip, drawing.show(index));
  };
  const showNearest = (event) => {
    const box = plot.getBoundingClientRect();
    if (drawing?.stops.length) show(drawing.nearest(event.clientX - box.left, event.clientY - box.top));
  };
  addPointerListeners(plot, showNearest, () => hideValues(plot, tip));
  plot.addEventListener("keydown", (event) => {
    const stop = targetStop(event.key, index, drawing);
    if (event.key === "Escape") hideValues(plot, tip);
    if (stop === null) return;
    event.preventDefault();
    show(stop);
  });
  return {
    setDrawing: (newDrawing) => {
      drawing = newDrawing;
      plot.setAttribute("aria-valuemax", Math.max(0, drawing.stops.length - 1));
      const stop = drawing.stops.findIndex((name) => String(name) === plot.dataset.stop);
      if (stop >= 0 && plot === document.activeElement) show(stop);
    },
  };
}

function addPointerListeners(plot, showNearest, hide) {
  plot.addEventListener("pointermove", showNearest);
  plot.addEventListener("pointerdown", showNearest);
  // lifting a finger also fires pointerleave: the value stays visible until something else is touched
  plot.addEventListener("pointerleave", ({ pointerType }) => pointerType === "mouse" && hide());
  plot.addEventListener("blur", hide);
}

function showValues(plot, tip, { x, y, title, rows }) {
  tip.replaceChildren(h("strong", {}, title), ...rows.map(([name, value]) => h("span", {}, h("i", {}, name), value)));
  tip.hidden = false;
  placeTip(tip, plot, x, y);
  plot.setAttribute("aria-valuetext", `${title}: ${rows.map(([name, value]) => `${name} ${value}`).join(", ")}`);
}

function hideValues(plot, tip) {
  tip.hidden = true;
  plot.querySelector(".cursor")?.setAttribute("visibility", "hidden");
  plot.querySelector(".chosen")?.classList.remove("chosen");
  delete plot.dataset.stop;
}

/** The stop that a key leads to, or null. */
function targetStop(pressed, index, drawing) {
  if (!drawing?.stops.length) return null;
  const last = drawing.stops.length - 1;
  const at = index ?? last;
  const moved = drawing.move?.(at, pressed);
  if (moved !== undefined) return moved;
  const next = {
    ArrowLeft: at - 1,
    ArrowDown: at - 1,
    ArrowRight: at + 1,
    ArrowUp: at + 1,
    Home: 0,
    End: last,
    PageUp: at - 24,
    PageDown: at + 24,
  };
  return next[pressed] ?? null;
}

function placeTip(tip, plot, x, y) {
  const left = x + 14 + tip.offsetWidth > plot.clientWidth ? x - 14 - tip.offsetWidth : x + 14;
  tip.style.left = `${Math.max(0, Math.min(left, plot.clientWidth - tip.offsetWidth))}px`;
  tip.style.top = `${Math.max(0, y)}px`;
}

/** The values as a table, which is built when it is opened. */
function tableDetails(title, table) {
  const body = h("div", { class: "scroll", tabindex: "0", role: "region", "aria-label": `${title}: table` });
  const fill = ({ target: details }) => {
    if (details.open && !body.childElementCount) body.append(valueTable(table()));
  };
  return h(
    "details",
    { class: "as-table", data: { key: title }, on: { toggle: fill } },
    h("summary", {}, "Show as a table"),
    body,
  );
}

function valueTable({ columns, rows }) {
  const headings = columns.map((name) => h("th", { scope: "col" }, name));
  const bodyRows = rows.map(([first, ...others]) =>
    h(
      "tr",
      {},
      h("th", { scope: "row" }, first),
      others.map((value) => h("td", {}, value)),
    ),
  );
  return h("table", {}, h("thead", {}, h("tr", {}, headings)), h("tbody", {}, bodyRows));
}
