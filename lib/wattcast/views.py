"""Views over the tables, by the names under which SQL knows them."""

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
}
