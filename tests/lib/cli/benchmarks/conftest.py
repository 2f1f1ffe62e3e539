"""The fixtures of the benchmarks."""

from tests.models.fixtures import write_artifact

__all__ = ["write_artifact"]
