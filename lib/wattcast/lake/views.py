"""Views over the tables, by the names under which SQL knows them."""

from string import Template

# MAE, RMSE and so on of a group of scored hours. CV-RMSE and NMBE as in ASHRAE Guideline 14, without its correction for the
# number of parameters; NMBE is positive where too much was forecast. The baselines are measured on the hours for which they have
# a value, and so is what the ratios compare them with.
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

GROUPED = Template("SELECT $by, $accuracy FROM forecast_scores_latest GROUP BY ALL")


def _accuracy_by(*columns: str) -> str:
    """Accuracy of the scores of today by some of their columns and by purpose."""
    by = ", ".join(("purpose", *columns))
    return GROUPED.substitute(by=by, accuracy=ACCURACY)


VIEWS = {
    "readings": """
        SELECT building_id, device_id, measured_at, temperature_c, humidity_pct, occupancy, energy_usage_kwh,
               kafka_timestamp, kafka_topic, kafka_partition, kafka_offset
        FROM received_readings WHERE accepted""",
    "rejected_readings": """
        SELECT building_id, device_id, measured_at, rejected_for, CAST(raw_payload AS STRING) AS payload, payload_bytes,
               payload_sha256, kafka_timestamp, kafka_topic, kafka_partition, kafka_offset
        FROM received_readings WHERE NOT accepted""",
    "weather_forecasts": """
        SELECT site, issued_at, target_hour, temperature_c, humidity_pct, kafka_timestamp AS available_at FROM (
            SELECT *, row_number() OVER (PARTITION BY site, issued_at, target_hour
                                         ORDER BY kafka_timestamp DESC, kafka_partition DESC, kafka_offset DESC) AS newest
            FROM received_weather_forecasts WHERE accepted)
        WHERE newest = 1""",
    "hourly_usage_latest": """
        SELECT * EXCEPT (newest) FROM (
            SELECT *, row_number() OVER (PARTITION BY building_id, hour ORDER BY available_at DESC) AS newest FROM hourly_usage)
        WHERE newest = 1""",
    "forecast_hours": """
        SELECT forecast_id, building_id, origin, purpose, issued_at, lead_hours + 1 AS lead_hours, target_hour,
               p10_kwh[lead_hours] AS p10_kwh, p50_kwh[lead_hours] AS p50_kwh, p90_kwh[lead_hours] AS p90_kwh,
               method, model_name, model_version, warnings, created_at
        FROM (SELECT * EXCEPT (target_hour), posexplode(target_hour) AS (lead_hours, target_hour) FROM forecasts)""",
    "latest_forecasts": """
        SELECT * EXCEPT (newest) FROM (
            SELECT *, row_number() OVER (PARTITION BY building_id ORDER BY origin DESC) AS newest
            FROM forecasts WHERE purpose = 'live')
        WHERE newest = 1""",
    "forecast_scores_latest": """
        SELECT * EXCEPT (newest) FROM (
            SELECT *, row_number() OVER (PARTITION BY forecast_id, lead_hours ORDER BY available_at DESC) AS newest
            FROM forecast_scores)
        WHERE newest = 1""",
    "accuracy_by_building": _accuracy_by("building_id", "model_name", "model_version"),
    "accuracy_by_lead": _accuracy_by("lead_hours", "model_name", "model_version"),
    "accuracy_by_model": _accuracy_by("model_name", "model_version", "method"),
    "accuracy_by_hour": _accuracy_by("local_hour", "model_name", "model_version"),
    "accuracy_by_day": _accuracy_by("date(target_hour) AS day", "model_name", "model_version"),
    "health_latest": """
        SELECT * EXCEPT (newest) FROM (
            SELECT *, row_number() OVER (PARTITION BY measure, scope, subject ORDER BY as_of DESC) AS newest FROM health)
        WHERE newest = 1""",
    "open_alerts": """
        SELECT * EXCEPT (newest) FROM (
            SELECT *, row_number() OVER (PARTITION BY alert_id ORDER BY changed_at DESC, state DESC) AS newest FROM alerts)
        WHERE newest = 1 AND state = 'firing'""",
}
