"""Commands that train, evaluate, explain and register models."""
