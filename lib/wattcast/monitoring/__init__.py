"""Measurements of the platform, the meters and the models; alert rules, alerts and their delivery."""
