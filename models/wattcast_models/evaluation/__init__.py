"""Backtests, baselines, metrics, reports and explanations."""
