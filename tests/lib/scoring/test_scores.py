"""The law of scores: they follow from what is known, whatever the order in which it came to be known."""

import numpy as np
import pandas as pd
from hypothesis import given
from hypothesis import settings as effort
from hypothesis import strategies as st

from wattcast.forecast.history import History
from wattcast.forecast.quantiles import QUANTILES
from wattcast.scoring.scores import FORECAST_COLUMNS, pinball, scores
from wattcast.times import HOUR_US
from wattcast_models.evaluation.baselines import same_hour_last_week, same_hour_yesterday

ORIGIN = 490_000  # hours since 1970
KEY = ["forecast_id", "lead_hours", "available_us"]


def forecast(lead_hours: int, *, issued_after: int = 0, p50: float = 5.0) -> pd.DataFrame:
    """A row per hour of one forecast, issued so many hours after its origin, in the columns that `scores` wants."""
    leads = np.arange(1, lead_hours + 1)
    rows = pd.DataFrame({"lead_hours": leads, "hour_us": (ORIGIN + leads - 1) * HOUR_US, "timezone": "Asia/Kathmandu"})
    rows = rows.assign(
        **dict.fromkeys(FORECAST_COLUMNS, "x"),
        origin_us=ORIGIN * HOUR_US,
        p10_kwh=p50 - 1,
        p50_kwh=p50,
        p90_kwh=p50 + 1,
    )
    return rows.assign(issued_us=(ORIGIN + issued_after) * HOUR_US)


def revisions(*rows: tuple[int, int, float]) -> pd.DataFrame:
    """Of the building x: hours after the origin, hours after that when it was known, kWh or NaN where readings are missing."""
    frame = pd.DataFrame(list(rows), columns=["hour", "after", "actual_kwh"]).drop_duplicates(["hour", "after"])
    hour = ORIGIN + frame["hour"].astype("int64")
    known = hour + frame["after"].astype("int64")
    return pd.DataFrame(
        {
            "building_id": "x",
            "hour_us": hour * HOUR_US,
            "available_us": known * HOUR_US,
            "actual_kwh": frame["actual_kwh"].astype(float),
        }
    )


some_revisions = st.lists(
    st.tuples(st.integers(-170, 50), st.integers(1, 60), st.sampled_from([1.0, 2.0, 5.0, np.nan])),
    min_size=1,
    max_size=60,
).map(lambda rows: revisions(*rows))


@effort(max_examples=150, deadline=None)
@given(some_revisions, st.sampled_from([1, 24, 48]), st.integers(0, 200))
def test_what_comes_to_be_known_adds_scores_and_takes_none_back(
    hours: pd.DataFrame, lead_hours: int, until: int
) -> None:
    pairs = forecast(lead_hours)
    at_us = (ORIGIN + until) * HOUR_US
    whole = scores(pairs, hours)
    then = scores(pairs, hours[hours["available_us"] <= at_us])
    expected = whole[whole["available_us"] <= at_us]
    pd.testing.assert_frame_equal(
        *(each.sort_values(KEY, ignore_index=True) for each in (then, expected)), check_dtype=False
    )
    assert not whole.duplicated(KEY).any()


@effort(max_examples=150, deadline=None)
@given(some_revisions, st.sampled_from([1, 24, 48, 168]), st.integers(0, 8))
def test_baselines_are_those_of_the_backtest_over_what_was_known_at_issue(
    hours: pd.DataFrame, lead_hours: int, issued_after: int
) -> None:
    whole = revisions(*((hour, 300, 3.0) for hour in range(lead_hours)))  # so that every hour has a score
    found = scores(forecast(lead_hours, issued_after=issued_after), pd.concat([hours, whole])).sort_values("lead_hours")
    found = found.drop_duplicates("lead_hours")
    ordered = pd.concat([hours, whole]).sort_values(["hour_us", "available_us"])
    history = History(
        ordered["hour_us"].to_numpy() // HOUR_US, ordered["available_us"].to_numpy(), ordered[["actual_kwh"]].to_numpy()
    )
    context = history.as_of((ORIGIN + issued_after) * HOUR_US, first_hour=ORIGIN - 168, hours=168)[:, 0]
    inputs = {"energy_usage_kwh": context[None], "future_temperature_c": np.zeros((1, lead_hours))}
    np.testing.assert_array_equal(found["last_week_kwh"], same_hour_last_week(inputs)[0])
    np.testing.assert_array_equal(found["last_day_kwh"], same_hour_yesterday(inputs)[0])


def test_score_of_one_hour() -> None:
    (row,) = scores(forecast(1), revisions((0, 1, 7.0))).to_dict("records")
    assert (row["error_kwh"], row["in_interval"], row["local_hour"]) == (-2.0, False, (ORIGIN * 60 + 345) // 60 % 24)
    assert row["pinball_kwh"] == np.mean([0.1 * 3.0, 0.5 * 2.0, 0.9 * 1.0])
    assert np.isnan(row["last_day_kwh"])


def test_a_bucket_without_forecasts_or_without_hours_has_no_scores() -> None:
    pairs, hours = forecast(24), revisions((0, 1, 7.0))
    assert [len(scores(*each)) for each in [(pairs, hours[:0]), (pairs[:0], hours), (pairs[:0], hours[:0])]] == [
        0,
        0,
        0,
    ]


@given(st.lists(st.floats(-1e6, 1e6), min_size=1, max_size=30), st.sampled_from(list(QUANTILES.values())))
def test_no_constant_has_less_pinball_than_the_quantile(actual: list[float], level: float) -> None:
    values = np.array(actual)
    loss = {each: pinball(values, np.full(len(values), each), level).mean() for each in actual}
    quantile = float(np.quantile(values, level, method="inverted_cdf"))
    assert loss[quantile] <= min(loss.values()) * (1 + 1e-9) + 1e-9
