"""The fixtures of the commands that train, backtest and explain models."""

from tests.models.fixtures import empty_store, registry, run, write_artifact

__all__ = ["empty_store", "registry", "run", "write_artifact"]
