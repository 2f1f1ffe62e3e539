"""Wattcast: hourly energy forecasts for buildings from live meter readings (Kafka, Spark, Delta Lake)."""
