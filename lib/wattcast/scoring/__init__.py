"""Forecast scores: the hours of forecasts next to their actual energy."""
