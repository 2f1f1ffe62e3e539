// What all charts share: caption, legend, a size that follows the page, a cursor for pointer and keyboard, and the table.

import { h, s } from "../dom.js";

/**
 * A figure whose plot is drawn anew by `draw(svg, width)` when its width changes.
 *
 * `draw` returns `{stops, nearest(x, y), show(index)}`: the names of the stops of the cursor, which is nearest to a point in
 * pixels, and what to show there as `{x, y, title, rows: [[name, value]]}`; `move(index, key)` may say where an arrow key leads.
 * `table` gives `{columns, rows}` when it is asked for.
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
      "aria-label": `${title}: values, by arrow keys`,
      "aria-valuemin": "0",
      "aria-valuemax": "0",
      "aria-valuenow": "0",
      "aria-valuetext": "Press an arrow key to read values",
    },
    svg,
    tip,
  );
  const cursor = followCursor(plot, tip);
  resized(svg, plot, height, (width) => cursor.drawn(draw(svg, width)));
  return h(
    "figure",
    { class: "chart" },
    h("figcaption", {}, h("span", {}, title), legend.length > 1 ? h("ul", { class: "legend" }, legend.map(key)) : null),
    plot,
    asTable(title, table),
  );
}

function key({ name, mark, band }) {
  const isFilled = band || mark.startsWith("h-");
  const sample = isFilled
    ? s("rect", { class: band ? "area" : mark, x: 1, y: 1, width: 18, height: 10, rx: 2 })
    : s("line", { class: `path ${mark}`, x1: 1, x2: 19, y1: 6, y2: 6 });
  return h("li", {}, s("svg", { "aria-hidden": "true", viewBox: "0 0 20 12" }, sample), name);
}

/** Draws as soon as the plot has a width, and when it gets another. */
function resized(svg, plot, height, draw) {
  let drawn = 0;
  new ResizeObserver(([entry]) => {
    const width = Math.round(entry.contentRect.width);
    if (!width || width === drawn) return;
    drawn = width;
    svg.setAttribute("viewBox", `0 0 ${width} ${height}`);
    svg.replaceChildren();
    draw(width);
  }).observe(plot);
}

/** The cursor of a plot; `drawn(drawing)` tells it of the newest drawing. Its stop stands in the plot's data, for a plot that comes
 * in the place of this one. */
function followCursor(plot, tip) {
  let drawing = null;
  let index = null;
  const line = () => plot.querySelector(".cursor");
  const hide = () => {
    tip.hidden = true;
    line()?.setAttribute("visibility", "hidden");
    plot.querySelector(".chosen")?.classList.remove("chosen");
    delete plot.dataset.stop;
  };
  const show = (next) => {
    if (!drawing?.stops.length) return;
    index = Math.max(0, Math.min(drawing.stops.length - 1, next));
    plot.dataset.stop = drawing.stops[index];
    const { x, y, title, rows } = drawing.show(index);
    tip.replaceChildren(h("strong", {}, title), ...rows.map(([name, value]) => h("span", {}, h("i", {}, name), value)));
    tip.hidden = false;
    place(tip, plot, x, y);
    plot.setAttribute("aria-valuenow", index);
    plot.setAttribute("aria-valuetext", `${title}: ${rows.map(([name, value]) => `${name} ${value}`).join(", ")}`);
  };
  const point = (event) => {
    const box = plot.getBoundingClientRect();
    if (drawing?.stops.length) show(drawing.nearest(event.clientX - box.left, event.clientY - box.top));
  };
  plot.addEventListener("pointermove", point);
  plot.addEventListener("pointerdown", point);
  // a finger leaves when it is lifted: what it has shown stays until something else is touched
  plot.addEventListener("pointerleave", ({ pointerType }) => pointerType === "mouse" && hide());
  plot.addEventListener("blur", hide);
  plot.addEventListener("keydown", (event) => {
    const next = target(event.key, index, drawing);
    if (event.key === "Escape") hide();
    if (next === null) return;
    event.preventDefault();
    show(next);
  });
  return {
    drawn: (made) => {
      drawing = made;
      plot.setAttribute("aria-valuemax", Math.max(0, drawing.stops.length - 1));
      const held = drawing.stops.findIndex((stop) => String(stop) === plot.dataset.stop);
      if (held >= 0 && plot === document.activeElement) show(held);
    },
  };
}

function target(pressed, index, drawing) {
  if (!drawing?.stops.length) return null;
  const last = drawing.stops.length - 1;
  const at = index ?? last;
  const own = drawing.move?.(at, pressed);
  if (own !== undefined) return own;
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

function place(tip, plot, x, y) {
  const left = x + 14 + tip.offsetWidth > plot.clientWidth ? x - 14 - tip.offsetWidth : x + 14;
  tip.style.left = `${Math.max(0, Math.min(left, plot.clientWidth - tip.offsetWidth))}px`;
  tip.style.top = `${Math.max(0, y)}px`;
}

/** The values as a table, which is only made when it is opened. */
function asTable(title, table) {
  const body = h("div", { class: "scroll", tabindex: "0", role: "region", "aria-label": `${title}: table` });
  const fill = ({ target: details }) => {
    if (!details.open || body.childElementCount) return;
    const { columns, rows } = table();
    body.append(
      h(
        "table",
        {},
        h(
          "thead",
          {},
          h(
            "tr",
            {},
            columns.map((name) => h("th", { scope: "col" }, name)),
          ),
        ),
        h(
          "tbody",
          {},
          rows.map(([first, ...others]) =>
            h(
              "tr",
              {},
              h("th", { scope: "row" }, first),
              others.map((value) => h("td", {}, value)),
            ),
          ),
        ),
      ),
    );
  };
  return h(
    "details",
    { class: "as-table", data: { key: title }, on: { toggle: fill } },
    h("summary", {}, "Show as a table"),
    body,
  );
}
