// Numbers and times as text.

const UNKNOWN = "–";
const isKnown = (value) => value !== null && value !== undefined && Number.isFinite(value);

/** A number with about three significant digits. */
export function number(value, unit = "") {
  if (!isKnown(value)) return UNKNOWN;
  const size = Math.abs(value);
  const digits = size >= 100 || Number.isInteger(value) ? 0 : size >= 10 ? 1 : size >= 1 ? 2 : 3;
  return fixed(value, digits) + (unit && ` ${unit}`);
}

/** With this many decimals; a value that rounds to zero has no sign. */
function fixed(value, digits) {
  const rounded = Number(value.toFixed(digits)) || 0;
  return rounded.toLocaleString("en-GB", { minimumFractionDigits: digits, maximumFractionDigits: digits });
}

/** A level of an axis, with as few decimals as it has. */
export const level = (value) => value.toLocaleString("en-GB", { maximumFractionDigits: 6 });

/** A level of an axis with large values, such as 12M. */
export const shortLevel = (value) => value.toLocaleString("en-US", { notation: "compact", maximumFractionDigits: 2 });

export const ratio = (value) => (isKnown(value) ? fixed(value, 2) : UNKNOWN);

export function percent(share, digits = 1) {
  return isKnown(share) ? `${level(Number((100 * share).toFixed(digits)) || 0)} %` : UNKNOWN;
}

export const plural = (count, one, many = `${one}s`) => `${number(count)} ${count === 1 ? one : many}`;

const timeFormats = new Map();

/** An Intl format in a time zone; UTC where the browser does not know the zone. */
export function timeFormat(zone, options) {
  const key = JSON.stringify([zone, options]);
  if (!timeFormats.has(key)) {
    let format;
    try {
      format = new Intl.DateTimeFormat("en-GB", { timeZone: zone, hourCycle: "h23", ...options });
    } catch {
      format = new Intl.DateTimeFormat("en-GB", { timeZone: "UTC", hourCycle: "h23", ...options });
    }
    timeFormats.set(key, format);
  }
  return timeFormats.get(key);
}

const MOMENT_FORMAT = { weekday: "short", day: "numeric", month: "short", hour: "2-digit", minute: "2-digit" };

/** Such as "Tue 24 Nov, 09:00 UTC"; with the year unless it is the current one. */
export function moment(time, zone = "UTC") {
  if (!time) return UNKNOWN;
  const year = (at) => timeFormat(zone, { year: "numeric" }).format(at);
  const isThisYear = year(new Date(time)) === year(new Date());
  const text = timeFormat(zone, isThisYear ? MOMENT_FORMAT : { ...MOMENT_FORMAT, year: "numeric" })
    .format(new Date(time))
    .replace(/^(\w+), /, "$1 ");
  return zone === "UTC" ? `${text} UTC` : text;
}

export const day = (time, zone = "UTC") => timeFormat(zone, { day: "numeric", month: "short" }).format(new Date(time));

/** Such as "2 h 5 min". */
export function duration(seconds) {
  if (!isKnown(seconds)) return UNKNOWN;
  const minutes = Math.round(Math.max(0, seconds) / 60);
  if (minutes < 1) return `${Math.round(Math.max(0, seconds))} s`;
  if (minutes < 60) return `${minutes} min`;
  const hours = Math.floor(minutes / 60);
  if (hours < 48) return minutes % 60 && hours < 10 ? `${hours} h ${minutes % 60} min` : `${hours} h`;
  return `${Math.floor(hours / 24)} days`;
}

/** How long ago a time was, such as "35 min ago"; "just now" where clocks differ and it lies after `now`. */
export function ago(time, now) {
  if (!time || !now) return UNKNOWN;
  return agoSeconds((new Date(now) - new Date(time)) / 1000);
}

export const agoSeconds = (seconds) => (Math.round(seconds) < 1 ? "just now" : `${duration(seconds)} ago`);

/** A value of `health` in the unit that the name of its measure ends with. */
export function measuredValue(measure, value) {
  if (!isKnown(value)) return UNKNOWN;
  if (measure.endsWith("_minutes")) return duration(60 * value);
  if (measure.endsWith("_hours")) return number(value, "h");
  if (measure.endsWith("_seconds")) return number(value, "s");
  if (/_share$|^completeness$|^interval_coverage$/.test(measure)) return percent(value);
  return number(value);
}

/** What a ratio to the weekly baseline means. */
export function againstBaseline(ratioToLastWeek) {
  if (!isKnown(ratioToLastWeek)) return "Not known yet";
  const share = Math.abs(1 - ratioToLastWeek);
  if (share < 0.005) return "Equal to repeating last week";
  return `${percent(share, 0)} ${ratioToLastWeek < 1 ? "better" : "worse"} than repeating last week`;
}
