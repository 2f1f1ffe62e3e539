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

/**
 * Puts `children` in the place of what `parent` holds. The focus stays on the same thing, or, where that is gone, on `parent`, from
 * which Tab goes on; what a chart showed is shown again.
 */
export function replace(parent, ...children) {
  const held = parent.contains(document.activeElement) && parent !== document.activeElement && document.activeElement;
  const place = held && alike(parent, held).indexOf(held);
  const stop = held && held.dataset.stop; // which a chart forgets when it is taken away
  const open = [...parent.querySelectorAll("details[open]")].map((each) => each.dataset.key).filter(Boolean);
  parent.replaceChildren(...children.flat(Infinity).filter(Boolean));
  for (const each of parent.querySelectorAll("details[data-key]")) each.open = open.includes(each.dataset.key);
  if (!held) return;
  const found = alike(parent, held);
  const next = found[Math.min(place, found.length - 1)] ?? parent;
  if (next === parent) parent.tabIndex = -1;
  if (stop) next.dataset.stop = stop;
  next.focus({ preventScroll: true });
}

/** The elements in `parent` that are the same thing as `one`: by what they are called, and in which row they are. */
function alike(parent, one) {
  const called = (element) =>
    element.id || element.getAttribute("href") || element.getAttribute("aria-label") || element.textContent;
  const row = (element) =>
    element.closest("[data-key]")?.dataset.key ?? element.closest("tr, li")?.firstElementChild?.textContent;
  return [...parent.querySelectorAll(one.tagName)].filter(
    (each) => called(each) === called(one) && row(each) === row(one),
  );
}

/** Tells a screen reader, once. */
export function announce(sentence) {
  document.getElementById("announcer").textContent = sentence;
}
