"""Few ranges instead of many times."""

from datetime import datetime, timedelta

from pyspark.sql import SparkSession
from pyspark.sql import functions as F

from wattcast.hourly.time_ranges import DAY, is_in_ranges
from wattcast.times import HOUR


def test_ranges_have_all_of_the_days_and_nothing_else_as_long_as_they_are_few(spark: SparkSession) -> None:
    times = [
        "2017-05-31 23:59:59",
        "2017-06-01 00:00:00",
        "2017-06-02 23:59:59",
        "2017-06-03 00:00:00",
        "2017-06-05 12:00:00",
    ]
    frame = spark.createDataFrame([(time,) for time in times], "at string").withColumn(
        "hour", F.col("at").cast("timestamp")
    )
    days = [datetime(2017, 6, day) for day in (5, 2, 1, 2)]

    def selected(days: list[datetime]) -> list[str]:
        is_on_days = is_in_ranges("hour", days, length=DAY)
        return [row["at"] for row in frame.where(is_on_days).orderBy("at").collect()]

    assert selected(days) == [times[1], times[2], times[4]]
    assert selected([]) == []
    scattered = [datetime(2017, 6, 1) + timedelta(days=2 * number) for number in range(40)]
    assert set(selected(scattered)) == set(times[1:])  # one range over all of them


def test_a_range_reaches_back_before_its_start_and_ranges_that_touch_are_one(spark: SparkSession) -> None:
    hours = spark.range(48).select(F.timestamp_seconds(F.col("id") * 3600 + 1_496_275_200).alias("hour"))
    starts = [datetime(2017, 6, 1, 5), datetime(2017, 6, 1, 8), datetime(2017, 6, 2, 3)]
    is_selected = is_in_ranges("hour", starts, length=HOUR, before=2 * HOUR)
    selected = [row.hour for row in hours.where(is_selected).orderBy("hour").collect()]
    day = datetime(2017, 6, 1)
    assert selected == [day + number * HOUR for number in (3, 4, 5, 6, 7, 8, 25, 26, 27)]
    assert str(is_selected).count(">=") == 2
