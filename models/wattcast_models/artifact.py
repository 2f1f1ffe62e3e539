"""The model artifact: a folder with model.pt (weights only) and model_config.json that says all about them."""

import hashlib
import io
import json
import os
from collections.abc import Mapping, Sequence
from pathlib import Path
from pickle import UnpicklingError  # torch lets it through; nothing here unpickles
from typing import Any

import torch
from torch import Tensor, nn

from wattcast_models.bias import MOST_DAYS
from wattcast_models.calibration import is_calibration
from wattcast_models.columns import HOUR_COLUMNS, feature_names, hour_names, window_names
from wattcast_models.networks import ENSEMBLE, KINDS, QUANTILES, build
from wattcast_models.reference import is_reference

FORMAT_VERSION = 2
LARGEST_LAYER = 4096  # units: a config from elsewhere must not exhaust memory
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


def save(folder: Path, network: nn.Module, config: Mapping[str, Any]) -> dict[str, Any]:
    """Writes the artifact and returns its whole config: `config` with the format and the sha256 of the weights.

    The config comes last, so a folder with one is whole; the same weights give the same bytes.
    """
    folder.mkdir(parents=True, exist_ok=True)
    weights = weights_bytes(network)
    about = {"features": feature_names(config["inputs"]), "sha256": hashlib.sha256(weights).hexdigest()}
    whole = {"format_version": FORMAT_VERSION, **config, **about}
    check_config(whole)
    write_whole(folder / WEIGHTS, weights)
    write_whole(folder / CONFIG, _json(whole))
    return whole


def note(folder: Path, **about: Any) -> dict[str, Any]:
    """Adds to the config what came to be known of a model, such as its `evaluation`, and returns the whole config."""
    config, _ = read(folder)
    write_whole(folder / CONFIG, _json(config | about))
    return config | about


def _json(config: Mapping[str, Any]) -> bytes:
    return (json.dumps(config, indent=2) + "\n").encode()


def write_whole(file: Path, content: bytes) -> None:
    """Writes a file whole or not at all."""
    unfinished = file.with_name(f".{file.name}.unfinished")
    unfinished.write_bytes(content)
    os.replace(unfinished, file)


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
    if unknown := [name for name in config["inputs"] if name not in HOUR_COLUMNS]:
        raise ArtifactError(f"The artifact has inputs that this version does not know: {', '.join(map(str, unknown))}.")
    if config["features"] != feature_names(config["inputs"]):
        raise ArtifactError("The artifact was trained on other features than this version makes: train it again.")
    if not _is_network(config["network"]):
        raise ArtifactError(f"The artifact's network is unknown: {config['network']}.")
    quantiles, leads = config["quantiles"], config["lead_hours"]
    if not _are_quantiles(quantiles):
        raise ArtifactError(f"The artifact has quantiles {quantiles}; they must ascend and have {list(QUANTILES)}.")
    if config["context_hours"] % 24 or not (168 <= config["context_hours"] <= 24 * 366 and 1 <= leads <= 168):
        raise ArtifactError("The artifact's context must be whole days, 168 to 8784 hours, its lead_hours 1 to 168.")
    if "calibration" in config and not is_calibration(config["calibration"], quantiles, lead_hours=leads):
        raise ArtifactError("The artifact's calibration must have a sane factor per quantile and lead hour.")

    days = config.get("bias_days", 0)
    if not isinstance(days, int) or not 0 <= days <= MOST_DAYS:
        raise ArtifactError(f"The artifact's bias_days must be 0 to {MOST_DAYS}, not {days}.")
    if "reference" in config and not is_reference(config["reference"]):
        raise ArtifactError("The artifact's reference must have ascending quantiles of each input by month.")


def _are_quantiles(levels: list[Any]) -> bool:
    are_levels = all(isinstance(level, float) and 0 < level < 1 for level in levels)
    return are_levels and sorted(set(levels)) == levels and set(QUANTILES) <= set(levels)


def _is_network(network: Any) -> bool:
    """Whether this is a network that `networks.build` knows: one, or an ensemble of some."""
    if not isinstance(network, dict):
        return False
    if network.get("kind") == ENSEMBLE:
        members = network.get("members")
        return isinstance(members, list) and bool(members) and all(map(_is_single, members))
    return _is_single(network)


def _is_single(network: Any) -> bool:
    if not isinstance(network, dict) or network.get("kind") not in KINDS:
        return False
    sizes = (network.get("hidden"), network.get("summary"))
    if not all(isinstance(size, int) and 0 < size <= LARGEST_LAYER for size in sizes):
        return False
    return isinstance(network.get("dropout"), float) and 0 <= network["dropout"] < 1


def build_network(config: Mapping[str, Any], weights: bytes) -> nn.Module:
    """The network with these weights, ready to forecast; ArtifactError when they do not fit or are not finite."""
    inputs = config["inputs"]
    try:
        network = untrained(config["network"], inputs, config["quantiles"])
        state: dict[str, Tensor] = torch.load(io.BytesIO(weights), map_location="cpu", weights_only=True)
        network.load_state_dict(state)
    except UNREADABLE as error:
        raise ArtifactError(f"The weights of {config['name']} {config['version']} cannot be loaded: {error}") from error
    if not all(bool(torch.isfinite(weight).all()) for weight in state.values()):
        raise ArtifactError(f"The weights of {config['name']} {config['version']} are not all finite.")
    return network.eval().requires_grad_(False)


def untrained(network: Mapping[str, Any], inputs: Sequence[str], quantiles: Sequence[float]) -> nn.Module:
    """A network of this config that reads the columns of these inputs, with random weights."""
    return build(network, hours=len(hour_names(inputs)), window=len(window_names(inputs)), quantiles=quantiles)


def weights_bytes(network: nn.Module) -> bytes:
    """The weights as torch saves them."""
    buffer = io.BytesIO()
    torch.save({name: weight.detach().cpu().contiguous() for name, weight in network.state_dict().items()}, buffer)
    return buffer.getvalue()
