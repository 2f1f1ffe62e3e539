"""Forecasting networks of Wattcast: torch only, no Spark."""
