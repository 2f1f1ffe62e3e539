"""The folder of a model artifact: the names of its files, the shipped one, and the error of a folder without a usable model.

Without torch, which takes seconds to import.
"""

from pathlib import Path

WEIGHTS, CONFIG = "model.pt", "model_config.json"


class ArtifactError(ValueError):
    """The folder has no model that this version can run; the message says why."""


def shipped_artifact() -> Path:
    """The folder of the model that comes with the package."""
    return Path(__file__).resolve().parents[1] / "shipped"
