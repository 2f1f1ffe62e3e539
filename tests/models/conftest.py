"""The fixtures of the models."""

from tests.models.fixtures import champion, empty_store, models, raw, registry, rubbish_server, run, write_artifact

__all__ = ["champion", "empty_store", "models", "raw", "registry", "rubbish_server", "run", "write_artifact"]
