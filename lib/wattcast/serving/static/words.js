// Numbers, times and the names of the platform, as a person reads them.

const NOTHING = "–";
const known = (value) => value !== null && value !== undefined && Number.isFinite(value);

/** A number with about three digits that matter. */
export function number(value, unit = "") {
  if (!known(value)) return NOTHING;
  const size = Math.abs(value);
  const digits = size >= 100 || Number.isInteger(value) ? 0 : size >= 10 ? 1 : size >= 1 ? 2 : 3;
  return fixed(value, digits) + (unit && ` ${unit}`);
}

/** With so many decimals; what rounds to nothing has no sign. */
function fixed(value, digits) {
  const rounded = Number(value.toFixed(digits)) || 0;
  return rounded.toLocaleString("en-GB", { minimumFractionDigits: digits, maximumFractionDigits: digits });
}

/** A level of an axis, with as few decimals as it has. */
export const level = (value) => value.toLocaleString("en-GB", { maximumFractionDigits: 6 });

/** A level of an axis that reaches far, such as 12M. */
export const shortLevel = (value) => value.toLocaleString("en-US", { notation: "compact", maximumFractionDigits: 2 });

export const ratio = (value) => (known(value) ? fixed(value, 2) : NOTHING);

export function percent(share, digits = 1) {
  return known(share) ? `${level(Number((100 * share).toFixed(digits)) || 0)} %` : NOTHING;
}

export const plural = (count, one, many = `${one}s`) => `${number(count)} ${count === 1 ? one : many}`;

const formats = new Map();

/** An Intl format of a time zone; a zone that this browser does not know is taken as UTC. */
export function timeFormat(zone, options) {
  const key = JSON.stringify([zone, options]);
  if (!formats.has(key)) {
    let format;
    try {
      format = new Intl.DateTimeFormat("en-GB", { timeZone: zone, hourCycle: "h23", ...options });
    } catch {
      format = new Intl.DateTimeFormat("en-GB", { timeZone: "UTC", hourCycle: "h23", ...options });
    }
    formats.set(key, format);
  }
  return formats.get(key);
}

const WHEN = { weekday: "short", day: "numeric", month: "short", hour: "2-digit", minute: "2-digit" };

/** Such as "Tue 24 Nov, 09:00 UTC"; with the year where that is not this one. */
export function moment(time, zone = "UTC") {
  if (!time) return NOTHING;
  const year = (at) => timeFormat(zone, { year: "numeric" }).format(at);
  const isOfThisYear = year(new Date(time)) === year(new Date());
  const text = timeFormat(zone, isOfThisYear ? WHEN : { ...WHEN, year: "numeric" })
    .format(new Date(time))
    .replace(/^(\w+), /, "$1 ");
  return zone === "UTC" ? `${text} UTC` : text;
}

export const day = (time, zone = "UTC") => timeFormat(zone, { day: "numeric", month: "short" }).format(new Date(time));

/** Such as "2 h 5 min". */
export function duration(seconds) {
  if (!known(seconds)) return NOTHING;
  const minutes = Math.round(Math.max(0, seconds) / 60);
  if (minutes < 1) return `${Math.round(Math.max(0, seconds))} s`;
  if (minutes < 60) return `${minutes} min`;
  const hours = Math.floor(minutes / 60);
  if (hours < 48) return minutes % 60 && hours < 10 ? `${hours} h ${minutes % 60} min` : `${hours} h`;
  return `${Math.floor(hours / 24)} days`;
}

/** How long ago something was, such as "35 min ago"; what clocks that differ put after `now` was just now. */
export function ago(time, now) {
  if (!time || !now) return NOTHING;
  return agoSeconds((new Date(now) - new Date(time)) / 1000);
}

export const agoSeconds = (seconds) => (Math.round(seconds) < 1 ? "just now" : `${duration(seconds)} ago`);

export const METHODS = {
  model: "Model",
  weekly_profile: "Weekly profile",
  last_known_profile: "Last known profile",
  type_prior: "Profile of the building type",
};

export const METHOD_NOTES = {
  model: "A trained network made the band.",
  weekly_profile: "A step down: medians by hour of the week, since the model could not be used.",
  last_known_profile: "Two steps down: medians by hour of the day, since little is known of the last week.",
  type_prior: "The last step: nothing is known of this building but its type.",
};

export const WARNINGS = {
  no_metadata: "The building is not in the list of buildings: UTC and no holidays were assumed.",
  cold_start: "Less than a week of hours is known.",
  gaps: "More than 5 % of the hours since the first one are missing.",
  stale_context: "The hour before the forecast began is missing.",
  flat_meter: "The meter has shown one and the same value for 24 hours or more.",
  late: "It was issued an hour after its first hour began, or later.",
  short_history: "Too little of the last week is known for the model.",
  model_unavailable: "No usable model was there.",
  model_failed: "The model raised an error.",
  model_not_finite: "The model gave no number.",
};

export const DEVICE_STATES = {
  ok: ["good", "OK"],
  silent: ["bad", "Silent"],
  stuck: ["warn", "Stuck"],
  noisy: ["warn", "Noisy"],
  late: ["warn", "Late"],
  rejected: ["bad", "Rejected"],
};

const RECORD_RULES = {
  too_large: "The record is too large",
  empty_value: "The record is empty",
  invalid_utf8: "The record is not UTF-8",
  not_json: "The record is not JSON",
  not_an_object: "The JSON is not an object",
  non_finite_number: "A number is NaN or infinite",
  "measured_at.in_future": "Stamped after its own arrival",
  "energy_usage_kwh.negative": "Energy below zero where that is not allowed",
};

const FIELDS = {
  energy_usage_kwh: "Energy",
  temperature_c: "Temperature",
  humidity_pct: "Humidity",
  occupancy: "Occupancy",
  building_id: "Building id",
  device_id: "Device id",
  measured_at: "Time of the reading",
  schema_version: "Version of the format",
};

const FIELD_RULES = {
  missing: "is missing",
  wrong_type: "has the wrong type",
  out_of_range: "is out of range",
  without_zone: "has no time zone",
  unreadable: "cannot be read",
  bad_length: "is too short or too long",
  bad_pattern: "has characters that are not allowed",
};

/** A rule of the contract of readings, such as `temperature_c.out_of_range`. */
export function brokenRule(rule) {
  if (RECORD_RULES[rule]) return RECORD_RULES[rule];
  const [field, broken] = rule.split(".");
  return FIELD_RULES[broken] ? `${fieldName(field)} ${FIELD_RULES[broken]}` : rule;
}

export const fieldName = (name) => FIELDS[name] ?? name;

/** `alert_rule` or `a_measure` as words. */
export function words(name) {
  const text = String(name ?? "").replaceAll("_", " ");
  return text.charAt(0).toUpperCase() + text.slice(1);
}

/** A value of `health` in the unit that its measure ends with. */
export function measured(measure, value) {
  if (!known(value)) return NOTHING;
  if (measure.endsWith("_minutes")) return duration(60 * value);
  if (measure.endsWith("_hours")) return number(value, "h");
  if (measure.endsWith("_seconds")) return number(value, "s");
  if (/_share$|^completeness$|^interval_coverage$/.test(measure)) return percent(value);
  return number(value);
}

const RULE_MEASURES = {
  fleet_silent: "freshness_minutes",
  no_forecast: "forecast_age_minutes",
  no_check_in: "check_in_minutes",
  meter_silent: "meter_silent_minutes",
  meter_stuck: "meter_stuck_hours",
  meter_noisy: "meter_noise",
  meter_late: "meter_late_share",
  meter_rejected: "meter_rejected_share",
  rejected_share: "rejected_share",
  calibration: "interval_coverage",
};

/** The value or the limit of an alert in the unit of what its rule looks at. */
export const alertValue = (rule, value) => measured(RULE_MEASURES[rule] ?? rule, value);

/** What a ratio to the weekly baseline means. */
export function againstBaseline(ratio) {
  if (!known(ratio)) return "Not known yet";
  const share = Math.abs(1 - ratio);
  if (share < 0.005) return "Equal to repeating last week";
  return `${percent(share, 0)} ${ratio < 1 ? "better" : "worse"} than repeating last week`;
}
