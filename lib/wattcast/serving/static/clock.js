// The current time for ages. It comes from the server, because in a replay it follows the readings, and because the clock of the
// browser may be wrong; between two overviews the browser's clock advances it.

import { get } from "./api.js";

const DAY_MS = 86400000;
const MINUTE_MS = 60000;
const RECENT_MS = 1000;
const last = { overview: null, at: 0 };

/** The overview that was read last, or null. */
export const overview = () => last.overview;

/** Reads the overview, which sets the clock. */
export async function readOverview(signal) {
  const body = await get("/v1/overview", {}, { signal, isTimed: true });
  Object.assign(last, { overview: body, at: Date.now() });
  return body;
}

/** The last overview if it is recent, else a new one: several parts of a page share one request. */
export const recentOverview = async (signal) =>
  last.overview && Date.now() - last.at < RECENT_MS ? last.overview : readOverview(signal);

const advanced = (time) => new Date((time ? Date.parse(time) : last.at) + Date.now() - last.at);

/** The current time for ages of readings and forecasts. */
export const now = () => (last.overview ? advanced(last.overview.now) : new Date());

const machineTime = () => (last.overview ? advanced(last.overview.server_time) : new Date());

/** Changes when ages in minutes must be drawn again. */
export const minute = () => Math.floor(now() / MINUTE_MS);

/** The arrival of the newest record: where ranges end. */
export const asOf = () => (last.overview?.as_of ? new Date(last.overview.as_of) : now());

export const since = (days) => new Date(asOf() - days * DAY_MS).toISOString();

export const secondsSince = (time) => Math.max(0, (now() - new Date(time)) / 1000);

/**
 * The age of a measurement in seconds: by the clock of the machine, or by that of the readings if the measurement follows it. The
 * latter is larger in a fast replay and smaller in a lake that was copied from elsewhere, so the smaller age counts.
 */
export function measurementAge({ as_of: measuredAsOf, measured_at: measuredAt }) {
  const byMachine = (machineTime() - new Date(measuredAt)) / 1000;
  const byReadings = (now() - new Date(measuredAsOf)) / 1000;
  return Math.max(0, byReadings < 0 ? byMachine : Math.min(byMachine, byReadings));
}
