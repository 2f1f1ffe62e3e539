"""Months of simulated buildings through the monitor's own functions: what is measured, what is alerted on.

`python -m tests.lib.monitoring.months --days 30` runs the whole show: clean months of three seeds, then a drifted one.
"""

import argparse
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import date, timedelta
from functools import cache

import numpy as np
import pandas as pd

from wattcast.local.simulation.simulator import simulate
from wattcast.measurements import combined
from wattcast.monitoring.alerting.alerts import FIRING, HISTORY, AlertInputs, alert_changes
from wattcast.monitoring.alerting.rules import load_alert_rules
from wattcast.monitoring.measures import meter_health
from wattcast.monitoring.measures.drift import FEATURES, TrainingReference, input_drift, temperature_off_site
from wattcast.monitoring.measures.forecast_errors import accuracy_measurements, error_sums
from wattcast_models.artifact.folder import shipped_artifact
from wattcast_models.artifact.predictor import Predictor
from wattcast_models.artifact.reference import training_reference
from wattcast_models.data.readings import Building, buildings_from_readings
from wattcast_models.data.windows import Origins, cut_windows
from wattcast_models.features.raw_inputs import FUTURE_INPUTS

BUILDINGS, TRAINING_DAYS, WARM_DAYS = 28, 365, 35
START = date(2024, 2, 1)
HOUR = pd.Timedelta(hours=1)
SENT_AFTER = HOUR + pd.Timedelta(seconds=30)
ORIGIN_EVERY_HOURS, LEADS = 6, 24
DRIFT_DAYS, DRIFT_ENDS_BEFORE = 8, 15
EVERY_HOURS, SLOW_EVERY_HOURS = 3, 12
NO_OPEN = ["alert_id", "rule", "scope", "subject", "started_at", "severity", "threshold"]

Change = Callable[[pd.DataFrame, Mapping[str, str]], pd.DataFrame]


@dataclass
class Fleet:
    """A simulated year to train on and the days after it. `hours`: building_id, hour (naive UTC) and FEATURES."""

    hours: pd.DataFrame
    buildings: pd.DataFrame
    reference: TrainingReference

    @property
    def sites(self) -> dict[str, str]:
        return dict(zip(self.buildings["building_id"], self.buildings["site"], strict=True))


@cache
def fleet(seed: int, days: int, start: date = START) -> Fleet:
    made = simulate(buildings=BUILDINGS, days=TRAINING_DAYS + WARM_DAYS + days, start=start, seed=seed)
    frames = [day.astype({"building_id": str}) for day in made.days]
    known = pd.Timestamp(start) + pd.Timedelta(days=TRAINING_DAYS)
    hours = pd.concat(frames, ignore_index=True).rename(columns={"timestamp": "hour"})
    hours["hour"] = hours["hour"].dt.tz_localize(None)
    hours[list(FEATURES)] = hours[list(FEATURES)].astype(float)
    learned = training_reference(series(hours[hours["hour"] < known], made.buildings))
    return Fleet(
        hours[hours["hour"] >= known - pd.Timedelta(days=56)], made.buildings, TrainingReference.parse(learned)
    )


def series(hours: pd.DataFrame, buildings: pd.DataFrame) -> list[Building]:
    places = {row["building_id"]: {key: str(row[key]) for key in ("timezone", "country", "building_type", "closures")}
              for row in buildings.to_dict("records")}  # fmt: skip
    return buildings_from_readings(hours.rename(columns={"hour": "timestamp"}), places)


def scores(hours: pd.DataFrame, buildings: pd.DataFrame, since: pd.Timestamp) -> pd.DataFrame:
    """What the shipped model forecast for the hours from `since` on, from an origin every ORIGIN_EVERY_HOURS, beside what
    happened, in the columns of `forecast_scores` that the monitor reads."""
    predictor, parts = Predictor.read(shipped_artifact()), []
    for building in series(hours, buildings):
        start = pd.Timestamp(building.start * 3600, unit="s")
        first = int((since - start) / HOUR)
        at = np.arange(first, building.hours - LEADS + 1, ORIGIN_EVERY_HOURS)
        context = predictor.context_hours
        inputs, actual = cut_windows(
            [building], Origins(np.zeros(len(at), np.int64), at), context_hours=context, lead_hours=LEADS
        )
        inputs |= {name: np.full(actual.shape, np.nan, np.float32) for name in FUTURE_INPUTS}
        quantiles = predictor(inputs)  # (origins, leads, 3)
        hour = at[:, None] + np.arange(LEADS)
        week_ago = building.values[hour - 168, 0].astype(float)
        flat = {"actual_kwh": actual.astype(float), "p10": quantiles[..., 0], "p50": quantiles[..., 1], "p90": quantiles[..., 2],
                "last_week_kwh": week_ago}  # fmt: skip
        rows = pd.DataFrame({name: values.ravel() for name, values in flat.items()})
        rows["lead_hours"] = np.tile(np.arange(1, LEADS + 1), len(at))
        rows["target_hour"] = start + pd.to_timedelta(hour.ravel(), unit="h")
        parts.append(rows.assign(building_id=building.building_id))
    found = pd.concat(parts, ignore_index=True).dropna(subset=["actual_kwh"])
    return found.assign(
        error_kwh=found["p50"] - found["actual_kwh"],
        in_interval=(found["p10"] <= found["actual_kwh"]) & (found["actual_kwh"] <= found["p90"]),
        model_name=predictor.name, model_version=predictor.version,
    )  # fmt: skip


@dataclass
class Watch:
    """The monitor's evaluations, one in EVERY_HOURS, over hours and scores that are there whole."""

    fleet: Fleet
    hours: pd.DataFrame
    scored: pd.DataFrame
    values: list[pd.DataFrame] = field(default_factory=list)
    alerts: list[pd.DataFrame] = field(default_factory=list)
    _ages: pd.DataFrame = field(
        default_factory=lambda: pd.DataFrame(columns=["measure", "scope", "subject", "value", "as_of"])
    )
    _slow: pd.DataFrame = field(default_factory=lambda: combined([]))

    def run(self, first: pd.Timestamp, last: pd.Timestamp) -> None:
        rules = load_alert_rules()
        readings = self.hours.rename(columns={"hour": "measured_at"}).sort_values("measured_at", ignore_index=True)
        readings = readings.assign(
            kafka_timestamp=readings["measured_at"] + SENT_AFTER, device_id=readings["building_id"], accepted=True,
            interval_minutes=60.0,
        )  # fmt: skip
        for as_of in pd.date_range(first, last, freq=f"{EVERY_HOURS}h") + pd.Timedelta(minutes=5):
            measured = self._measured(readings, as_of).assign(as_of=as_of)
            history = pd.concat(
                [each for each in self.values[-24 // EVERY_HOURS :] if each["as_of"].iloc[0] >= as_of - HISTORY]
                or [measured[:0]]
            )
            inputs = AlertInputs(as_of, measured, history, self._open(), now=as_of)
            self.alerts.append(alert_changes(rules, inputs))
            self.values.append(measured)

    def _open(self) -> pd.DataFrame:
        made = [each for each in self.alerts if len(each)]
        if not made:
            return pd.DataFrame(columns=NO_OPEN)
        rows = pd.concat(made).drop_duplicates("alert_id", keep="last")
        return rows[rows["state"] == FIRING]

    def _measured(self, readings: pd.DataFrame, as_of: pd.Timestamp) -> pd.DataFrame:
        arrived = readings["kafka_timestamp"].searchsorted([as_of - meter_health.STUCK_WINDOW, as_of], side="right")
        devices = meter_health.device_measurements(readings.iloc[arrived[0] : arrived[1]], as_of, grace_minutes=5)
        names = self.fleet.buildings["building_id"]
        newest = pd.DataFrame({"building_id": names, "origin": as_of.floor("h")})
        devices = combined([devices, meter_health.forecast_ages(newest, as_of)])
        devices = combined([devices, meter_health.age_unseen(self._ages, devices, as_of, forget_days=30)])
        self._ages = devices.assign(as_of=as_of)
        start, end = meter_health.closed_day(as_of, max_wait_minutes=180)
        day = self.hours[(self.hours["hour"] >= start) & (self.hours["hour"] < end)].assign(coverage=1.0)
        if as_of.hour % SLOW_EVERY_HOURS == 0 or self._slow.empty:
            self._slow = self._slowly(as_of)
        whole = meter_health.completeness(day, self.fleet.buildings["building_id"])
        return combined([devices, meter_health.fleet_ages(devices), whole, self._slow])

    def _slowly(self, as_of: pd.Timestamp) -> pd.DataFrame:
        known = self.hours[self.hours["hour"] <= as_of - SENT_AFTER]
        scored = self.scored[self.scored["target_hour"] <= as_of - SENT_AFTER]
        return combined([
            input_drift(known, self.fleet.reference, as_of), temperature_off_site(known, self.fleet.sites, as_of),
            accuracy_measurements(error_sums(scored, as_of)),
        ])  # fmt: skip

    @property
    def changed(self) -> pd.DataFrame:
        made = [each for each in self.alerts if len(each)]
        return (
            pd.concat(made, ignore_index=True)
            if made
            else pd.DataFrame(columns=["rule", "subject", "state", "changed_at"])
        )

    def greatest(self, measure: str, scope: str) -> pd.Series:
        """The extreme values of a measure, of all subjects and evaluations."""
        rows = pd.concat(self.values)
        values = rows.loc[(rows["measure"] == measure) & (rows["scope"] == scope), "value"]
        return values.quantile([0, 0.5, 0.99, 1])


def month(seed: int, days: int, change: Change | None = None, start: date = START) -> Watch:
    """A month behind the training year and the warm days, as it is or changed."""
    made = fleet(seed, days, start)
    hours = change(made.hours, made.sites) if change else made.hours
    first = pd.Timestamp(start) + pd.Timedelta(days=TRAINING_DAYS + WARM_DAYS)
    watch = Watch(made, hours, scores(hours, made.buildings, first - pd.Timedelta(days=WARM_DAYS)))
    watch.run(first, first + pd.Timedelta(days=days) - HOUR)
    return watch


def drifted(hours: pd.DataFrame, sites: Mapping[str, str]) -> pd.DataFrame:
    """DRIFT_DAYS of what is wrong: the outdoor sensor of one building reads 5 °C too much, the meter of another counts 1.6 times
    what was used, and everywhere half a building's mean is added to the number of people."""
    sensor, meter = sensor_of(sites), meter_of(sites)
    first = hours["hour"].max().floor("D") + pd.Timedelta(days=1) - pd.Timedelta(days=DRIFT_ENDS_BEFORE + DRIFT_DAYS)
    is_then = (hours["hour"] >= first) & (hours["hour"] < first + pd.Timedelta(days=DRIFT_DAYS))
    changed = hours.copy()
    changed.loc[is_then & (hours["building_id"] == sensor), "temperature_c"] += 5
    changed.loc[is_then & (hours["building_id"] == meter), "energy_usage_kwh"] *= 1.6
    people = hours.groupby("building_id")["occupancy"].transform("mean")
    changed.loc[is_then, "occupancy"] += 0.5 * people[is_then]
    return changed


def sensor_of(sites: Mapping[str, str]) -> str:
    """A building of the site that has most."""
    most = pd.Series(dict(sites)).value_counts().index[0]
    return min(name for name, site in sites.items() if site == most)


def meter_of(sites: Mapping[str, str]) -> str:
    """Another building, of another site."""
    return max(name for name, site in sites.items() if site != sites[sensor_of(sites)])


MEASURES = (
    ("input_drift_psi", "feature"), ("input_drift_ks", "feature"), ("temperature_off_site_c", "building"),
    ("residual_bias_2d", "building"), ("residual_drift_ks", "building"), ("residual_bias", "building"),
    ("interval_coverage", "model"), ("interval_coverage", "building"),
    ("mae_ratio_to_last_week", "model"), ("mae_ratio_to_last_week", "building"), ("meter_stuck_hours", "device"),
    ("meter_noise", "device"), ("meter_silent_minutes", "device"), ("completeness", "building"),
)  # fmt: skip


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--days", type=int, default=30)
    parser.add_argument("--seeds", type=int, nargs="*", default=[1, 2, 3])
    parser.add_argument("--drifted", action="store_true", help="Instead of clean months.")
    parser.add_argument("--start", type=date.fromisoformat, default=START)
    options = parser.parse_args()
    for seed in options.seeds:
        watch = month(seed, options.days, drifted if options.drifted else None, start=options.start)
        if options.drifted:
            print("sensor", sensor_of(watch.fleet.sites), "meter", meter_of(watch.fleet.sites))
        first = options.start + timedelta(days=TRAINING_DAYS + WARM_DAYS)
        print(f"seed {seed}, {options.days} days from {first}, {'drifted' if options.drifted else 'clean'}")
        print(watch.changed[["rule", "subject", "state", "changed_at"]].to_string())
        for measure, scope in MEASURES:
            print(f"  {measure:24} {scope:10}", *(f"{value:8.3f}" for value in watch.greatest(measure, scope)))
        rows = pd.concat(watch.values)
        for name in FEATURES:
            of = rows[(rows["subject"] == name)]
            print(f"  {name:20}", *(f"{m} {g['value'].max():.3f}" for m, g in of.groupby("measure")))


if __name__ == "__main__":
    main()
