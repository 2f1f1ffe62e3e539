// What a person chooses with.

import { h } from "./dom.js";

/** Radio buttons in a row; `options`: [[value, text]]. */
export function choice(legend, options, chosen, changed) {
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
          h("input", { type: "radio", name, value, checked: value === chosen, on: { change: () => changed(value) } }),
          h("span", {}, text),
        ),
      ),
    ),
  );
}

export function select(label, options, chosen, changed) {
  return h(
    "label",
    {},
    label,
    h(
      "select",
      { on: { change: ({ target }) => changed(target.value) } },
      options.map(([value, text]) => h("option", { value, selected: value === chosen }, text)),
    ),
  );
}

/** A field that tells of its text a moment after the last key. */
export function field(label, value, changed, attributes = {}) {
  let waiting = 0;
  const later = ({ target }) => {
    clearTimeout(waiting);
    waiting = setTimeout(() => changed(target.value.trim()), 250);
  };
  return h(
    "label",
    {},
    label,
    h("input", { type: "search", spellcheck: "false", value, on: { input: later }, ...attributes }),
  );
}
