// Scales from values to pixels, and ticks of axes.

import { timeFormat } from "../formats.js";

const HOUR = 3600000;
const STEPS = [1, 3, 6, 12, 24, 48, 96, 168, 336, 672];

export function linear([low, high], [from, to]) {
  const span = high - low || 1;
  return (value) => from + ((value - low) / span) * (to - from);
}

/** Round numbers that cover `low` to `high` in about `count` steps; the first and last one are the ends of the axis. */
export function ticks(low, high, count) {
  const span = high - low || Math.abs(high) || 1;
  const power = 10 ** Math.floor(Math.log10(span / count));
  const step = [1, 2, 2.5, 5, 10].find((factor) => factor * power * count >= span) * power;
  const first = Math.floor(low / step + 1e-9);
  const last = Math.ceil(high / step - 1e-9);
  return Array.from({ length: Math.max(1, last - first) + 1 }, (_, i) => Number(((first + i) * step).toPrecision(12)));
}

/** Ticks `{at, label}` of a time axis at round hours or midnights of the zone, at most `count` of them. */
export function timeTicks(low, high, count, zone) {
  const step = STEPS.find((hours) => (high - low) / HOUR / hours <= count) ?? STEPS.at(-1);
  const clock = timeFormat(zone, { hour: "2-digit", minute: "2-digit" });
  const date = timeFormat(zone, { day: "numeric", month: "short" });
  const timeMarks = [];
  for (let at = Math.ceil(low / HOUR) * HOUR; at <= high; at += HOUR) {
    const time = clock.format(at);
    const hour = Number(time.slice(0, 2));
    const isRound = step < 24 ? hour % step === 0 : hour === 0 && Math.round(at / HOUR / 24) % (step / 24) === 0;
    if (isRound) timeMarks.push({ at, label: hour === 0 ? date.format(at) : time });
  }
  return timeMarks;
}

/** Spans `[from, to]` of the Saturdays and Sundays of the zone. */
export function weekends(low, high, zone) {
  const weekday = timeFormat(zone, { weekday: "short" });
  const spans = [];
  let start = null;
  for (let at = low; at <= high; at += HOUR) {
    const isWeekend = weekday.format(at).startsWith("S");
    if (isWeekend && start === null) start = at;
    if (!isWeekend && start !== null) spans.push([start, at]);
    if (!isWeekend) start = null;
  }
  return start === null ? spans : [...spans, [start, high]];
}
