// The tiles of the overview: each figure with its assessment.

import { spark } from "../charts/small.js";
import * as clock from "../clock.js";
import { againstBaseline, agoSeconds, duration, number, percent, plural, ratio } from "../formats.js";

const HOUR_S = 3600;
const MIN_COMPLETENESS = 0.95;
const MAX_REJECTED_SHARE = 0.05;
const EXPECTED_COVERAGE = 0.8;
const COVERAGE_TOLERANCE = 0.08;

/** `overview` is that of the API, `trends` the measurements of the last two weeks, newest first. */
export function overviewTiles(overview, trends) {
  const trend = (measure) =>
    spark(
      trends
        .filter((row) => row.measure === measure)
        .map(({ value }) => value)
        .reverse(),
    );
  return [
    alertTile(overview.alerts),
    freshnessTile(overview),
    forecastTile(overview),
    { ...completenessTile(overview), trend: trend("completeness") },
    { ...rejectedTile(overview), trend: trend("rejected_share") },
    errorTile(overview),
    { ...coverageTile(overview), trend: trend("interval_coverage") },
  ];
}

function alertTile({ critical, warning }) {
  const status = critical ? "bad" : warning ? "warn" : "good";
  const comment = critical + warning ? `${number(critical)} critical, ${plural(warning, "warning")}` : "Nothing to do";
  return { name: "Open alerts", value: number(critical + warning), status, comment };
}

function freshnessTile({ as_of: asOf, stale_after_minutes: limit, buildings, devices }) {
  const age = clock.secondsSince(asOf);
  const isStale = age > 60 * limit;
  const comment = isStale
    ? "Stale: no newer reading has arrived"
    : `${plural(buildings, "building")}, ${plural(devices, "device")}`;
  return { name: "Newest reading", value: duration(age), unit: "ago", status: isStale ? "bad" : "good", comment };
}

function forecastTile({ forecasts_fresh: fresh, forecasts_stale: stale, buildings }) {
  const missing = Math.max(0, buildings - fresh - stale);
  const faults = [stale && `${number(stale)} stale`, missing && `${number(missing)} missing`].filter(Boolean);
  return {
    name: "Fresh forecasts",
    value: number(fresh),
    unit: `of ${number(buildings)}`,
    status: faults.length ? "bad" : "good",
    comment: faults.join(", ") || "None is stale or missing",
  };
}

const completenessTile = ({ completeness_24h: share, measured }) => ({
  name: "Complete hours",
  value: percent(share),
  ...assessment(
    share === null ? null : share >= MIN_COMPLETENESS,
    { good: "Last 24 h: as expected", bad: "Last 24 h: hours are missing" },
    measured.completeness_24h,
  ),
});

const rejectedTile = ({ rejected_share_24h: share, measured }) => ({
  name: "Rejected",
  value: percent(share, 2),
  ...assessment(
    share === null ? null : share <= MAX_REJECTED_SHARE,
    { good: "Of all records, last 24 h", bad: "Last 24 h: more than 5 %" },
    measured.rejected_share_24h,
  ),
});

function errorTile({ mae_kwh_7d: mae, mae_ratio_to_last_week_7d: errorRatio, measured }) {
  const hasKwh = mae !== null;
  const comment = againstBaseline(errorRatio);
  return {
    name: "Mean error",
    value: hasKwh ? number(mae) : ratio(errorRatio),
    unit: hasKwh ? "kWh" : "of last week's",
    ...assessment(
      errorRatio === null ? null : errorRatio <= 1,
      { good: comment, bad: comment },
      measured.mae_ratio_to_last_week_7d,
      3 * HOUR_S,
    ),
  };
}

const coverageTile = ({ interval_coverage_7d: coverage, measured }) => ({
  name: "Within P10 to P90",
  value: percent(coverage),
  ...assessment(
    coverage === null ? null : Math.abs(coverage - EXPECTED_COVERAGE) <= COVERAGE_TOLERANCE,
    { good: "7 days; expected: 80 %", bad: "7 days; expected: 80 %. The bands do not fit" },
    measured.interval_coverage_7d,
    3 * HOUR_S,
  ),
});

/** The status and comment of a value; null: not known. For a value that was measured too long ago, its age instead. */
function assessment(isGood, { good, bad }, measurement, maxAgeS = HOUR_S) {
  if (isGood === null) return { status: "muted", comment: "Not known yet" };
  const age = measurement ? clock.measurementAge(measurement) : 0;
  if (age > maxAgeS) return { status: "warn", comment: `Measured ${agoSeconds(age)}` };
  return isGood ? { status: "good", comment: good } : { status: "warn", comment: bad };
}
