"""The columns of hourly usage, weather forecasts and metadata that a forecast uses, in the order of its arrays."""

USAGE_COLUMNS = ["energy_usage_kwh", "temperature_c", "humidity_pct", "occupancy"]
WEATHER_COLUMNS = ["temperature_c", "humidity_pct"]
METADATA_COLUMNS = ["timezone", "country", "building_type", "closures"]
MODEL_COLUMNS = ["model_name", "model_version"]
NO_MODEL = "none"  # in MODEL_COLUMNS of a forecast for which there was no model
