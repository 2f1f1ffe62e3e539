"""The model artifact: a folder with model.pt (weights only) and model_config.json, which describes them completely."""

import hashlib
import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from torch import nn

from wattcast_models.artifact.config import FORMAT_VERSION, check_config
from wattcast_models.artifact.folder import CONFIG, WEIGHTS, ArtifactError
from wattcast_models.artifact.weights import weights_bytes
from wattcast_models.features.columns import feature_names
from wattcast_models.files import write_atomically


def save_artifact(folder: Path, network: nn.Module, config: Mapping[str, Any]) -> dict[str, Any]:
    """Write an artifact and return its complete config: `config` with the format, the features and the sha256 of the weights.

    The config is written last, so a folder that has one is complete.
    """
    folder.mkdir(parents=True, exist_ok=True)
    weights = weights_bytes(network)
    computed = {"features": feature_names(config["inputs"]), "sha256": hashlib.sha256(weights).hexdigest()}
    complete = {"format_version": FORMAT_VERSION, **config, **computed}
    check_config(complete)
    write_atomically(folder / WEIGHTS, weights)
    write_atomically(folder / CONFIG, _json(complete))
    return complete


def extend_config(folder: Path, **entries: Any) -> dict[str, Any]:
    """Add entries to the config of an artifact, such as its `evaluation`, and return the complete config."""
    config, _ = read_artifact(folder)
    write_atomically(folder / CONFIG, _json(config | entries))
    return config | entries


def read_artifact(folder: Path) -> tuple[dict[str, Any], bytes]:
    """The checked config and the weights of an artifact; ArtifactError says what is wrong with it."""
    try:
        config = json.loads((folder / CONFIG).read_bytes())
        weights = (folder / WEIGHTS).read_bytes()
    except OSError as error:
        raise ArtifactError(f"{folder} is no model artifact: {error.strerror}: {error.filename}") from error
    except ValueError as error:
        raise ArtifactError(f"{folder / CONFIG} is not JSON: {error}") from error
    check_config(config)
    if hashlib.sha256(weights).hexdigest() != config["sha256"]:
        raise ArtifactError(f"{folder / WEIGHTS} is not the file that {CONFIG} describes: its sha256 differs.")
    return config, weights


def _json(config: Mapping[str, Any]) -> bytes:
    return (json.dumps(config, indent=2) + "\n").encode()
