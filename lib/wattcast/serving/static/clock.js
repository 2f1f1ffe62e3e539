// What time it is. The server tells it, since in a replay it is that of the readings, and a browser's own clock may be wrong;
// between two answers this browser's clock moves it on.

import { get } from "./api.js";

const DAY_MS = 86400000;
const MINUTE_MS = 60000;
const JUST_NOW_MS = 1000;
const read = { overview: null, at: 0 };

export const overview = () => read.overview;

/** Reads the overview, by which all ages are told. */
export async function readOverview(signal) {
  const found = await get("/v1/overview", {}, { signal, isTimed: true });
  Object.assign(read, { overview: found, at: Date.now() });
  return found;
}

/** The overview that was read just now, else anew: several parts of a page are drawn from one. */
export const newest = async (signal) =>
  read.overview && Date.now() - read.at < JUST_NOW_MS ? read.overview : readOverview(signal);

const moved = (time) => new Date((time ? Date.parse(time) : read.at) + Date.now() - read.at);

/** By which ages of readings and forecasts are told. */
export const now = () => (read.overview ? moved(read.overview.now) : new Date());

/** Of the server's machine. */
const machine = () => (read.overview ? moved(read.overview.server_time) : new Date());

/** Changes when what is told by the minute must be drawn anew. */
export const minute = () => Math.floor(now() / MINUTE_MS);

/** The newest arrival: where ranges end. */
export const asOf = () => (read.overview?.as_of ? new Date(read.overview.as_of) : now());

export const since = (days) => new Date(asOf() - days * DAY_MS).toISOString();

export const secondsSince = (time) => Math.max(0, (now() - new Date(time)) / 1000);

/**
 * How long ago something was measured, in seconds: by the machine's clock, or by that of the readings where it speaks of them,
 * which is longer ago in a fast replay and shorter in a lake that was brought from elsewhere: the lesser of both.
 */
export function measuredAge({ as_of: asOfRow, measured_at: measuredAt }) {
  const byMachine = (machine() - new Date(measuredAt)) / 1000;
  const byReadings = (now() - new Date(asOfRow)) / 1000;
  return Math.max(0, byReadings < 0 ? byMachine : Math.min(byMachine, byReadings));
}
