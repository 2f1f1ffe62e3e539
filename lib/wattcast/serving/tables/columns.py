"""The columns that the API reads of each table, and which rows the snapshot holds in memory."""

from datetime import timedelta

import pyarrow.dataset as ds

from wattcast.forecast.quantiles import QUANTILE_COLUMNS
from wattcast.serving.tables.latest_rows import LatestSpec

LIVE = "live"  # the purpose of forecasts that were issued by the job, not by a backfill
FORECAST_COLUMNS = (
    "forecast_id", "building_id", "origin", "issued_at", "created_at", "target_hour", *QUANTILE_COLUMNS,
    "method", "model_name", "model_version", "warnings",
)  # fmt: skip
ALERT_COLUMNS = (
    "alert_id", "rule", "severity", "scope", "subject", "state", "started_at", "changed_at", "value", "threshold", "message",
)  # fmt: skip
HEALTH_COLUMNS = ("as_of", "measured_at", "measure", "scope", "subject", "value", "samples", "details")
METADATA_COLUMNS = ("building_id", "site", "timezone", "country", "building_type", "closures")
DEVICE_COLUMNS = ("building_id", "device_id", "kafka_timestamp", "measured_at", "kafka_partition", "kafka_offset")

MONTH = timedelta(days=30)
ALERT_RETENTION = timedelta(days=365)  # the longest time that an alert may be firing

TABLES = ("forecasts", "buildings", "alerts", "health", "received_readings", "hourly_usage", "forecast_scores")
LATEST = {
    "forecasts": LatestSpec(
        "forecasts", ("building_id",), ("origin", "created_at"), FORECAST_COLUMNS, MONTH, ds.field("purpose") == LIVE
    ),
    "alerts": LatestSpec("alerts", ("alert_id",), ("changed_at", "state"), ALERT_COLUMNS, ALERT_RETENTION),
    # ordered by measured_at: in a replay the as_of of some measures follows the readings and that of others the machine
    "health": LatestSpec("health", ("measure", "scope", "subject"), ("measured_at", "as_of"), HEALTH_COLUMNS, MONTH),
    "devices": LatestSpec(
        "received_readings", ("building_id", "device_id"), ("kafka_timestamp", "kafka_partition", "kafka_offset"),
        DEVICE_COLUMNS, MONTH, ds.field("accepted"),
    ),
}  # fmt: skip
