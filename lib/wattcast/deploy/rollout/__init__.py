"""The steps of a deployment: prerequisites, dry run, apply, waiting for readiness, and rollback."""
