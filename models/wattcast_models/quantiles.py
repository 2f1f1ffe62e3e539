"""The quantile levels that every model forecasts. A model may forecast others besides."""

MEDIAN = 0.5
QUANTILES = (0.1, MEDIAN, 0.9)
