"""Alerts: rules, which alerts they raise and resolve, delivery to a webhook, and trainings that alerts call for."""
