// Elements from values. Every value becomes text or an attribute, never HTML, so that a hostile name is harmless.

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
 * Replaces the children of `parent`. The focus stays on the corresponding new element, or moves to `parent` where there is none,
 * so that Tab continues from there. Open details stay open, and a chart shows the value that its cursor was at.
 */
export function replace(parent, ...children) {
  const focused = parent.contains(document.activeElement) && parent !== document.activeElement && document.activeElement;
  const position = focused && corresponding(parent, focused).indexOf(focused);
  const stop = focused && focused.dataset.stop; // a removed chart loses its cursor
  const openKeys = [...parent.querySelectorAll("details[open]")].map(({ dataset }) => dataset.key).filter(Boolean);
  parent.replaceChildren(...children.flat(Infinity).filter(Boolean));
  for (const details of parent.querySelectorAll("details[data-key]"))
    details.open = openKeys.includes(details.dataset.key);
  if (!focused) return;
  const candidates = corresponding(parent, focused);
  const next = candidates[Math.min(position, candidates.length - 1)] ?? parent;
  if (next === parent) parent.tabIndex = -1;
  if (stop) next.dataset.stop = stop;
  next.focus({ preventScroll: true });
}

/** The elements in `parent` with the same tag, the same name and in the same row as `element`. */
function corresponding(parent, element) {
  const name = (candidate) =>
    candidate.id || candidate.getAttribute("href") || candidate.getAttribute("aria-label") || candidate.textContent;
  const row = (candidate) =>
    candidate.closest("[data-key]")?.dataset.key ?? candidate.closest("tr, li")?.firstElementChild?.textContent;
  return [...parent.querySelectorAll(element.tagName)].filter(
    (candidate) => name(candidate) === name(element) && row(candidate) === row(element),
  );
}

/** Announces a sentence to screen readers. */
export function announce(sentence) {
  document.getElementById("announcer").textContent = sentence;
}
