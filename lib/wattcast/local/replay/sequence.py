"""The records of a replay in order of simulated arrival; the same file, faults and seed give the same records."""

import json
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from itertools import starmap
from typing import NamedTuple

import numpy as np
import numpy.typing as npt
import pandas as pd
import pyarrow as pa
import pyarrow.compute as pc

from wattcast.local.replay.expected import broken_rules
from wattcast.local.replay.faults import CORRUPTIONS, Faults, written
from wattcast.local.replay.recorded_files import FEATURES
from wattcast.local.replay.recordings import DAY_MS, HOUR_MS, Recording

KINDS = list(CORRUPTIONS)
LATE = ["disordered", "delayed", "corrected"]  # faults that delay the reading of the file itself
Ints = npt.NDArray[np.int64]


class Record(NamedTuple):
    """One Kafka record. `kind` is its origin; `rejected_for` has the rules that reject it, empty if it is accepted.

    Kinds: `on_time`, `disordered`, `delayed`, `corrected` are the readings of the file, one record each; `duplicated` repeats
    one, `wrong` precedes a corrected one; every other kind is a key of `CORRUPTIONS`.
    """

    arrival_ms: int
    measured_ms: int
    key: bytes
    value: bytes | None
    kind: str
    rejected_for: tuple[str, ...]


def records(recording: Recording, faults: Faults, seed: int) -> Iterator[Record]:
    """Every record of a replay; arrival never decreases. Memory holds one day of readings and the records that arrive later."""
    later = pd.DataFrame(columns=list(Record._fields))
    corrupted = 0  # so far: their kinds alternate over the whole replay
    for day_ms, readings in recording.days():
        rng = np.random.default_rng([seed, day_ms // DAY_MS % 2**32])
        of_day = _records_of_day(recording, readings, faults, rng, corrupted)
        corrupted += int((of_day["kind"].isin(KINDS)).sum())
        plan = pd.concat([later, of_day], ignore_index=True) if len(later) else of_day
        plan = plan.sort_values("arrival_ms", kind="stable", ignore_index=True)
        due = int(plan["arrival_ms"].searchsorted(day_ms + DAY_MS))  # readings of the next day arrive after it begins
        yield from _rows(plan.iloc[:due])
        later = plan.iloc[due:]
    yield from _rows(later)


def _rows(plan: pd.DataFrame) -> Iterator[Record]:
    return starmap(Record, zip(*(plan[name].tolist() for name in Record._fields), strict=True))


def _records_of_day(
    recording: Recording, readings: pd.DataFrame, faults: Faults, rng: np.random.Generator, corrupted_before: int
) -> pd.DataFrame:
    """The records of the readings of one day, unordered; `corrupted_before` counts the corrupted records before it."""
    rules = broken_rules(recording, readings)
    is_good = np.array([not broken for broken in rules])
    measured, interval = readings["measured_ms"].to_numpy(), recording.interval_ms[readings["building"].to_numpy()]
    repeated = _repeated(readings)
    latency = np.where(repeated, 60, rng.integers(1, 61, len(readings)))  # equal arrivals keep the order of the file
    on_time = measured + interval + latency * 1000
    late = _lateness(interval, rng)
    hit = _hit(faults, rng.random(len(readings)), ~repeated)
    hit["corrected"] &= is_good  # if the correction were rejected, the wrong value would stay
    factor = rng.uniform(1.1, 3, len(readings))
    is_corrupted = (rng.random(len(readings)) < faults.corrupted) & is_good

    keys = np.array([building_id.encode() for building_id in recording.building_ids], object)
    right = pd.DataFrame(
        {
            "arrival_ms": on_time + sum(late[kind] * hit[kind] for kind in LATE),
            "measured_ms": measured,
            "key": keys[readings["building"].to_numpy()],
            "value": messages(recording, readings),
            "kind": np.select([hit[kind] for kind in LATE], LATE, "on_time").astype(object),
            "rejected_for": rules,
        }
    )
    again = right[hit["duplicated"]].assign(kind="duplicated")
    again["arrival_ms"] += late["duplicated"][hit["duplicated"]]
    wrong = _wrong(right[hit["corrected"]], on_time[hit["corrected"]], factor[hit["corrected"]])
    broken = _corrupted(right[is_corrupted], on_time[is_corrupted], corrupted_before)
    return pd.concat([part for part in (right, again, wrong, broken) if len(part)], ignore_index=True)


def _lateness(interval: Ints, rng: np.random.Generator) -> dict[str, Ints]:
    """By kind of fault, the delay that each reading would have, in ms."""
    n = len(interval)
    return {
        "disordered": interval * rng.integers(1, 4, n) + rng.integers(61, 121, n) * 1000,  # after its successor
        "delayed": rng.integers(2 * HOUR_MS, 48 * HOUR_MS, n),
        "corrected": rng.integers(HOUR_MS, 24 * HOUR_MS, n),
        "duplicated": rng.integers(1000, 24 * HOUR_MS, n),
    }


def _hit(
    faults: Faults, chance: npt.NDArray[np.float64], may: npt.NDArray[np.bool_]
) -> dict[str, npt.NDArray[np.bool_]]:
    """By kind of fault, which readings have it, at most one kind each; `chance` lies in [0, 1)."""
    hit, edge = {}, 0.0
    for kind in (*LATE, "duplicated"):
        share = getattr(faults, kind)
        hit[kind] = (chance >= edge) & (chance < edge + share) & may
        edge += share
    return hit


def _repeated(readings: pd.DataFrame) -> npt.NDArray[np.bool_]:
    """Whether the file has several rows for a reading; the last of them counts."""
    keys = [name for name in ("building", "device_id", "measured_ms") if name in readings]
    return readings.duplicated(keys, keep=False).to_numpy()


def _wrong(right: pd.DataFrame, arrival_ms: Ints, factor: npt.NDArray[np.float64]) -> pd.DataFrame:
    """The values sent before a correction: larger than the correct ones, at the time of the correct ones."""
    good = [json.loads(value) for value in right["value"]]
    energy = [round(abs(m["energy_usage_kwh"]) * by + 1, 3) for m, by in zip(good, factor, strict=True)]
    values = [written(m | {"energy_usage_kwh": wrong}) for m, wrong in zip(good, energy, strict=True)]
    return right.assign(arrival_ms=arrival_ms, value=pd.Series(values, right.index, object), kind="wrong")


def _corrupted(good: pd.DataFrame, arrival_ms: Ints, corrupted_before: int) -> pd.DataFrame:
    """A corrupted record beside each good one, a second after its arrival on time; the kinds alternate."""
    kinds = [KINDS[(corrupted_before + row) % len(KINDS)] for row in range(len(good))]
    arrival_ms = arrival_ms + 1000
    values = [
        CORRUPTIONS[kind].corrupt(json.loads(value), datetime.fromtimestamp(0, UTC) + timedelta(milliseconds=arrived))
        for kind, value, arrived in zip(kinds, good["value"], arrival_ms.tolist(), strict=True)
    ]
    rules = pd.Series([CORRUPTIONS[kind].rejected_for for kind in kinds], good.index, object)
    value = pd.Series(values, good.index, object)
    return good.assign(arrival_ms=arrival_ms, kind=kinds, value=value, rejected_for=rules)


def messages(recording: Recording, readings: pd.DataFrame) -> npt.NDArray[np.object_]:
    """The JSON values (bytes) of readings; numbers in the shortest form that reads back as the file's, else null."""
    building = readings["building"].to_numpy()
    parts: list[pa.Array | str] = ['{"schema_version":1,"building_id":']
    parts.append(
        pa.array([json.dumps(name, ensure_ascii=False) for name in recording.building_ids]).take(pa.array(building))
    )
    if "device_id" in readings:
        names, codes = np.unique(readings["device_id"].to_numpy(str), return_inverse=True)
        parts += [
            ',"device_id":',
            pa.array([json.dumps(str(name) or None, ensure_ascii=False) for name in names]).take(pa.array(codes)),
        ]
    measured = readings["measured_ms"].to_numpy().astype("datetime64[ms]")
    unit = "s" if (measured == measured.astype("datetime64[s]")).all() else "ms"
    times, codes = np.unique(measured, return_inverse=True)
    stamps = np.datetime_as_string(times.astype(f"datetime64[{unit}]"))
    parts += [',"measured_at":"', pa.array([f"{stamp}Z" for stamp in stamps]).take(pa.array(codes)), '"']
    for name in FEATURES:
        parts += [f',"{name}":', shortest(readings[name])]
    text = pc.binary_join_element_wise(*parts, "}", "", null_handling="replace", null_replacement="null")
    return np.array(text.cast(pa.binary()).to_pylist(), object)


def shortest(numbers: pd.Series) -> pa.Array:
    """Numbers as the shortest text that reads back as the same number of their precision: float32 12.1 is 12.1."""
    return pa.array(numbers.to_numpy(), from_pandas=True).cast(pa.string())
