"""The MLflow store and the training runs in it."""
