// Form controls.

import { h } from "./dom.js";

/** Radio buttons in a row; `options`: [[value, text]]. */
export function choice(legend, options, selected, onChange) {
  const name = `choice-${legend.replaceAll(/\W+/g, "-").toLowerCase()}`;
  return h(
    "fieldset",
    {},
    h("legend", {}, legend),
    h(
      "div",
      { class: "choice" },
      options.map(([value, text]) =>
        h(
          "label",
          {},
          h("input", { type: "radio", name, value, checked: value === selected, on: { change: () => onChange(value) } }),
          h("span", {}, text),
        ),
      ),
    ),
  );
}

export function select(label, options, selected, onChange) {
  return h(
    "label",
    {},
    label,
    h(
      "select",
      { on: { change: ({ target }) => onChange(target.value) } },
      options.map(([value, text]) => h("option", { value, selected: value === selected }, text)),
    ),
  );
}

/** A text field that reports its text 250 ms after the last key. */
export function field(label, value, onChange, attributes = {}) {
  let timer = 0;
  const reportLater = ({ target }) => {
    clearTimeout(timer);
    timer = setTimeout(() => onChange(target.value.trim()), 250);
  };
  return h(
    "label",
    {},
    label,
    h("input", { type: "search", spellcheck: "false", value, on: { input: reportLater }, ...attributes }),
  );
}
