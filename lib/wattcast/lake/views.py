"""Views over the tables, by the names that SQL queries use."""

from string import Template
from typing import TYPE_CHECKING

from wattcast.contracts import tables

if TYPE_CHECKING:
    from wattcast.lake.tables import LakeTables

# MAE, RMSE and so on of a group of scored hours. CV-RMSE and NMBE as in ASHRAE Guideline 14, without its correction for the
# number of parameters; NMBE is positive where the forecasts are too high. The baselines are measured on the hours for which they
# have a value, and so are the errors that the ratios compare them with.
ACCURACY = """
        count(*) AS hours, avg(actual_kwh) AS mean_kwh, avg(abs(error_kwh)) AS mae_kwh,
        sqrt(avg(error_kwh * error_kwh)) AS rmse_kwh,
        sqrt(avg(error_kwh * error_kwh)) / nullif(abs(avg(actual_kwh)), 0) AS cv_rmse,
        avg(error_kwh) / nullif(avg(actual_kwh), 0) AS nmbe,
        avg(pinball_kwh) AS pinball_kwh, avg(CAST(in_interval AS DOUBLE)) AS interval_coverage,
        avg(abs(last_week_kwh - actual_kwh)) AS last_week_mae_kwh, avg(abs(last_day_kwh - actual_kwh)) AS last_day_mae_kwh,
        avg(abs(error_kwh)) FILTER (WHERE last_week_kwh IS NOT NULL)
            / nullif(avg(abs(last_week_kwh - actual_kwh)), 0) AS mae_ratio_to_last_week,
        avg(abs(error_kwh)) FILTER (WHERE last_day_kwh IS NOT NULL)
            / nullif(avg(abs(last_day_kwh - actual_kwh)), 0) AS mae_ratio_to_last_day"""

ACCURACY_BY = Template("SELECT $by, $accuracy FROM forecast_scores_latest GROUP BY ALL")
NEWEST_ROWS = Template("""
        SELECT $columns FROM (
            SELECT *, row_number() OVER (PARTITION BY $key ORDER BY $order) AS recency FROM $table)
        WHERE recency = 1""")


def _accuracy_by(*columns: str) -> str:
    """The accuracy of the newest scores by purpose and some columns."""
    by = ", ".join(("purpose", *columns))
    return ACCURACY_BY.substitute(by=by, accuracy=ACCURACY)


def _newest_rows(table: str, *, key: str, order: str, columns: str = "* EXCEPT (recency)") -> str:
    """The newest row of each key: the first in `order`. `table` may have a WHERE clause."""
    return NEWEST_ROWS.substitute(table=table, key=key, order=order, columns=columns)


VIEWS = {
    "readings": """
        SELECT building_id, device_id, measured_at, temperature_c, humidity_pct, occupancy, energy_usage_kwh,
               kafka_timestamp, kafka_topic, kafka_partition, kafka_offset
        FROM received_readings WHERE accepted""",
    "rejected_readings": """
        SELECT building_id, device_id, measured_at, rejected_for, CAST(raw_payload AS STRING) AS payload, payload_bytes,
               payload_sha256, kafka_timestamp, kafka_topic, kafka_partition, kafka_offset
        FROM received_readings WHERE NOT accepted""",
    "weather_forecasts": _newest_rows(
        "received_weather_forecasts WHERE accepted",
        key="site, issued_at, target_hour",
        order="kafka_timestamp DESC, kafka_partition DESC, kafka_offset DESC",
        columns="site, issued_at, target_hour, temperature_c, humidity_pct, kafka_timestamp AS available_at",
    ),
    "hourly_usage_latest": _newest_rows("hourly_usage", key="building_id, hour", order="available_at DESC"),
    "forecast_hours": """
        SELECT forecast_id, building_id, origin, purpose, issued_at, lead_hours + 1 AS lead_hours, target_hour,
               p10_kwh[lead_hours] AS p10_kwh, p50_kwh[lead_hours] AS p50_kwh, p90_kwh[lead_hours] AS p90_kwh,
               method, model_name, model_version, warnings, created_at
        FROM (SELECT * EXCEPT (target_hour), posexplode(target_hour) AS (lead_hours, target_hour) FROM forecasts)""",
    "latest_forecasts": _newest_rows("forecasts WHERE purpose = 'live'", key="building_id", order="origin DESC"),
    "forecast_scores_latest": _newest_rows("forecast_scores", key="forecast_id, lead_hours", order="available_at DESC"),
    "accuracy_by_building": _accuracy_by("building_id", "model_name", "model_version"),
    "accuracy_by_lead": _accuracy_by("lead_hours", "model_name", "model_version"),
    "accuracy_by_model": _accuracy_by("model_name", "model_version", "method"),
    "accuracy_by_hour": _accuracy_by("local_hour", "model_name", "model_version"),
    "accuracy_by_day": _accuracy_by("date(target_hour) AS day", "model_name", "model_version"),
    "health_latest": _newest_rows("health", key="measure, scope, subject", order="as_of DESC"),
    "open_alerts": f"""{_newest_rows("alerts", key="alert_id", order="changed_at DESC, state DESC")}
            AND state = 'firing'""",
}


def register_views(lake: "LakeTables") -> None:
    """Register every table and view as a temporary view of this session; each stays at its version of now."""
    for table in tables():
        lake.table(table.name).createOrReplaceTempView(table.name)
    for name, sql in VIEWS.items():
        lake.spark.sql(sql).createOrReplaceTempView(name)


def publish_views(lake: "LakeTables") -> None:
    """Create every table and view in the catalog, for all sessions of this application; each query reads the newest versions."""
    for table in tables():
        lake.spark.sql(f"CREATE OR REPLACE VIEW {table.name} AS TABLE delta.`{lake.path(table.name)}`")
    for name, sql in VIEWS.items():
        lake.spark.sql(f"CREATE OR REPLACE VIEW {name} AS {sql}")
