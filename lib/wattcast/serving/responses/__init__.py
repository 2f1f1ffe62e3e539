"""Responses as JSON, CSV or Arrow, with ETags and page cursors."""
