// Elements from values. Every value becomes text or an attribute, never HTML, so that a name can do no harm.

const SVG = "http://www.w3.org/2000/svg";

/** An element; `attributes` may hold `class`, `on` ({event: listener}) and `data`; null and false attributes are left out. */
export function h(tag, attributes = {}, ...children) {
  return filled(document.createElement(tag), attributes, children);
}

/** An SVG element. */
export function s(tag, attributes = {}, ...children) {
  return filled(document.createElementNS(SVG, tag), attributes, children);
}

function filled(element, { on = {}, data = {}, ...attributes }, children) {
  for (const [name, value] of Object.entries(attributes)) {
    if (value !== null && value !== undefined && value !== false)
      element.setAttribute(name, value === true ? "" : value);
  }
  for (const [event, listener] of Object.entries(on)) element.addEventListener(event, listener);
  Object.assign(element.dataset, data);
  element.append(
    ...children.flat(Infinity).filter((child) => child !== null && child !== undefined && child !== false),
  );
  return element;
}

/** Puts `children` in the place of what `parent` holds; the focus stays on the same thing if it is still there. */
export function replace(parent, ...children) {
  const held = parent.contains(document.activeElement) ? document.activeElement : null;
  const open = [...parent.querySelectorAll("details[open]")].map((each) => each.dataset.key).filter(Boolean);
  parent.replaceChildren(...children.flat(Infinity).filter(Boolean));
  for (const each of parent.querySelectorAll("details[data-key]")) each.open = open.includes(each.dataset.key);
  if (held)
    [...parent.querySelectorAll(held.tagName)].find((each) => sameThing(each, held))?.focus({ preventScroll: true });
}

function sameThing(one, other) {
  const name = (element) =>
    element.id || element.getAttribute("href") || element.getAttribute("aria-label") || element.textContent;
  return name(one) === name(other);
}

/** Tells a screen reader, once. */
export function announce(sentence) {
  document.getElementById("announcer").textContent = sentence;
}
