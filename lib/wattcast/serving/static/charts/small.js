// Bars in a table, and sparklines.

import { h, s } from "../dom.js";
import { linear } from "./scales.js";

/** `items`: [{name, value, mark, text}], where `name` may be an element; `reference` is a value to draw a line at. */
export function bars(caption, items, { reference = null, valueName = "Value" } = {}) {
  const largest = Math.max(reference ?? 0, ...items.map(({ value }) => value ?? 0)) || 1;
  const share = (value) => `${((100 * Math.max(0, value)) / largest).toFixed(1)}%`;
  const row = ({ name, value, mark = "plain", text }) =>
    h(
      "tr",
      {},
      h("th", { scope: "row" }, name),
      h(
        "td",
        { class: "bar" },
        s(
          "svg",
          { "aria-hidden": "true" },
          s("rect", { class: "track", width: "100%", height: 14, rx: 3 }),
          s("rect", { class: mark, width: share(value ?? 0), height: 14, rx: 3 }),
          reference === null
            ? ""
            : s("line", { class: "reference", x1: share(reference), x2: share(reference), y1: -2, y2: 16 }),
        ),
      ),
      h("td", { class: "number" }, text),
    );
  return h(
    "table",
    { class: "bars" },
    h("caption", { class: "unseen" }, caption),
    h(
      "thead",
      { class: "unseen" },
      h("tr", {}, h("th", { scope: "col" }, "Name"), h("td", {}), h("th", { scope: "col" }, valueName)),
    ),
    h("tbody", {}, items.map(row)),
  );
}

/** A line of a changing value without axes; its meaning must stand beside it as text. */
export function spark(values) {
  const finite = values.filter((value) => Number.isFinite(value));
  if (finite.length < 3) return null;
  const low = Math.min(...finite);
  const high = Math.max(...finite);
  if (low === high) return null;
  const x = linear([0, values.length - 1], [0, 100]);
  const y = linear([low, high], [23, 3]);
  const points = values.flatMap((value, i) =>
    Number.isFinite(value) ? [`${x(i).toFixed(1)} ${y(value).toFixed(1)}`] : [],
  );
  return h(
    "div",
    { class: "spark", "aria-hidden": "true" },
    s(
      "svg",
      { viewBox: "0 0 100 26", preserveAspectRatio: "none" },
      s("path", { class: "path", d: `M${points.join("L")}` }),
    ),
  );
}
