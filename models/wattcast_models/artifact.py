"""The model artifact: a folder with model.pt (weights only) and model_config.json that says all about them."""

import hashlib
import io
import json
import os
from collections.abc import Mapping
from pathlib import Path
from pickle import UnpicklingError  # torch lets it through; nothing here unpickles
from typing import Any

import torch
from torch import Tensor

from wattcast_models.columns import FEATURES_OF, feature_names
from wattcast_models.networks import KINDS, QUANTILES, Forecaster

FORMAT_VERSION = 1
WEIGHTS, CONFIG = "model.pt", "model_config.json"
UNREADABLE = (RuntimeError, ValueError, TypeError, LookupError, AttributeError, EOFError, OSError, UnpicklingError)
KEYS: dict[str, type | tuple[type, ...]] = {
    "name": str,
    "version": str,
    "network": dict,
    "inputs": list,
    "features": list,
    "quantiles": list,
    "context_hours": int,
    "lead_hours": int,
    "sha256": str,
}


class ArtifactError(ValueError):
    """The folder holds no model that this version can run; the message says why."""


def shipped_artifact() -> Path:
    """The folder of the model that comes with the package."""
    return Path(__file__).resolve().parent / "shipped"


def save(folder: Path, network: Forecaster, config: Mapping[str, Any]) -> dict[str, Any]:
    """Writes the artifact and returns its whole config: `config` with the format and the sha256 of the weights.

    The config comes last, so a folder with one is whole; the same weights give the same bytes.
    """
    folder.mkdir(parents=True, exist_ok=True)
    weights = weights_bytes(network)
    about = {"features": feature_names(config["inputs"]), "sha256": hashlib.sha256(weights).hexdigest()}
    whole = {"format_version": FORMAT_VERSION, **config, **about}
    check_config(whole)
    for name, content in ((WEIGHTS, weights), (CONFIG, (json.dumps(whole, indent=2) + "\n").encode())):
        unfinished = folder / f".{name}.unfinished"
        unfinished.write_bytes(content)
        os.replace(unfinished, folder / name)
    return whole


def read(folder: Path) -> tuple[dict[str, Any], bytes]:
    """The checked config and weights of an artifact; ArtifactError says what is wrong with it."""
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


def check_config(config: Any) -> None:
    """Raises ArtifactError unless this version knows the format, network, inputs and sizes."""
    if not isinstance(config, dict) or config.get("format_version") != FORMAT_VERSION:
        found = config.get("format_version") if isinstance(config, dict) else type(config).__name__
        raise ArtifactError(f"The artifact has format_version {found}; this version reads {FORMAT_VERSION}.")
    if wrong := [key for key, kind in KEYS.items() if not isinstance(config.get(key), kind)]:
        raise ArtifactError(f"The artifact's config lacks or has of a wrong type: {', '.join(wrong)}.")
    if unknown := [name for name in config["inputs"] if name not in FEATURES_OF]:
        raise ArtifactError(f"The artifact has inputs that this version does not know: {', '.join(map(str, unknown))}.")
    if config["features"] != feature_names(config["inputs"]):
        raise ArtifactError("The artifact was trained on other features than this version makes: train it again.")
    network = config["network"]
    if network.get("kind") not in KINDS or not all(
        isinstance(network.get(size), int) for size in ("hidden", "summary")
    ):
        raise ArtifactError(f"The artifact's network is unknown: {network}.")
    if config["quantiles"] != list(QUANTILES):
        raise ArtifactError(
            f"The artifact has quantiles {config['quantiles']}; this version forecasts {list(QUANTILES)}."
        )
    if not (168 <= config["context_hours"] <= 24 * 366 and 1 <= config["lead_hours"] <= 168):
        raise ArtifactError("The artifact's context_hours must be 168 to 8784 and its lead_hours 1 to 168.")


def build_network(config: Mapping[str, Any], weights: bytes) -> Forecaster:
    """The network with these weights, ready to forecast; ArtifactError when they do not fit or are not finite."""
    sizes = config["network"]
    try:
        network = Forecaster(sizes["kind"], len(feature_names(config["inputs"])), sizes["hidden"], sizes["summary"])
        state: dict[str, Tensor] = torch.load(io.BytesIO(weights), map_location="cpu", weights_only=True)
        network.load_state_dict(state)
    except UNREADABLE as error:
        raise ArtifactError(f"The weights of {config['name']} {config['version']} cannot be loaded: {error}") from error
    if not all(bool(torch.isfinite(weight).all()) for weight in state.values()):
        raise ArtifactError(f"The weights of {config['name']} {config['version']} are not all finite.")
    return network.eval().requires_grad_(False)


def weights_bytes(network: Forecaster) -> bytes:
    """The weights as torch saves them."""
    buffer = io.BytesIO()
    torch.save({name: weight.detach().cpu().contiguous() for name, weight in network.state_dict().items()}, buffer)
    return buffer.getvalue()
