// The platform's names as text: methods, warnings, states, rules and fields.

import { measuredValue } from "./formats.js";

export const METHODS = {
  model: "Model",
  weekly_profile: "Weekly profile",
  last_known_profile: "Last known profile",
  type_prior: "Profile of the building type",
};

export const METHOD_NOTES = {
  model: "Forecast by a trained neural network.",
  weekly_profile: "Weekly pattern of this building, because the model could not be used: medians by hour of the week.",
  last_known_profile: "Daily pattern of this building, because less than a week of hours is known: medians by hour of the day.",
  type_prior: "Typical profile of this building type, because there are no usable readings.",
};

export const WARNINGS = {
  no_metadata: "The building is not in the list of buildings: the forecast assumes UTC and no holidays.",
  cold_start: "The building has less than a week of history.",
  gaps: "More than 5 % of the hours since the first known hour are missing.",
  stale_context: "The last hour before the forecast is missing.",
  flat_meter: "The meter has shown the same value for 24 hours or more.",
  late: "The forecast was issued an hour or more after its first hour began.",
  short_history: "The last week has too few hours for the model.",
  model_unavailable: "No usable model was available.",
  model_failed: "The model failed with an error.",
  model_not_finite: "The model returned a value that is not a number.",
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
  "measured_at.in_future": "The time of the reading is after its arrival",
  "energy_usage_kwh.negative": "Energy is negative where that is not allowed",
};

const FIELDS = {
  energy_usage_kwh: "Energy",
  temperature_c: "Temperature",
  humidity_pct: "Humidity",
  occupancy: "Occupancy",
  building_id: "Building id",
  device_id: "Device id",
  measured_at: "Time of the reading",
  schema_version: "Schema version",
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
export function rejectionRule(rule) {
  if (RECORD_RULES[rule]) return RECORD_RULES[rule];
  const [field, violation] = rule.split(".");
  return FIELD_RULES[violation] ? `${fieldLabel(field)} ${FIELD_RULES[violation]}` : rule;
}

export const fieldLabel = (name) => FIELDS[name] ?? name;

/** `alert_rule` or `a_measure` as words. */
export function words(name) {
  const text = String(name ?? "").replaceAll("_", " ");
  return text.charAt(0).toUpperCase() + text.slice(1);
}

const MEASURE_OF_ALERT_RULE = {
  fleet_silent: "freshness_minutes",
  no_forecast: "forecast_age_minutes",
  no_check_in: "check_in_minutes",
  hours_unusable: "unusable_hours",
  meter_silent: "meter_silent_minutes",
  meter_stuck: "meter_stuck_hours",
  meter_noisy: "meter_noise",
  meter_late: "meter_late_share",
  meter_rejected: "meter_rejected_share",
  rejected_share: "rejected_share",
  calibration: "interval_coverage",
};

/** The value or the threshold of an alert, in the unit of the measure that its rule watches. */
export const alertValue = (rule, value) => measuredValue(MEASURE_OF_ALERT_RULE[rule] ?? rule, value);
