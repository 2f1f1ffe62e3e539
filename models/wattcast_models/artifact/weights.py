"""The weights of an artifact: networks to bytes and back."""

import io
from collections.abc import Mapping, Sequence
from pickle import UnpicklingError  # torch raises it for broken files; weights_only=True never unpickles objects
from typing import Any

import torch
from torch import Tensor, nn

from wattcast_models.artifact.folder import ArtifactError
from wattcast_models.features.columns import hour_names, window_names
from wattcast_models.networks.networks import build

# What torch raises for a file that is broken or that does not fit.
LOAD_ERRORS = (RuntimeError, ValueError, TypeError, LookupError, AttributeError, EOFError, OSError, UnpicklingError)


def untrained_network(network: Mapping[str, Any], inputs: Sequence[str], quantiles: Sequence[float]) -> nn.Module:
    """A network of this config that reads the columns of these inputs, with random weights."""
    return build(network, hours=len(hour_names(inputs)), window=len(window_names(inputs)), quantiles=quantiles)


def build_network(config: Mapping[str, Any], weights: bytes) -> nn.Module:
    """The network with these weights, in evaluation mode; ArtifactError if they do not fit or are not finite."""
    model = f"{config['name']} {config['version']}"
    try:
        network = untrained_network(config["network"], config["inputs"], config["quantiles"])
        state: dict[str, Tensor] = torch.load(io.BytesIO(weights), map_location="cpu", weights_only=True)
        network.load_state_dict(state)
    except LOAD_ERRORS as error:
        raise ArtifactError(f"The weights of {model} cannot be loaded: {error}") from error
    if not all(bool(torch.isfinite(weight).all()) for weight in state.values()):
        raise ArtifactError(f"The weights of {model} are not all finite.")
    return network.eval().requires_grad_(False)


def weights_bytes(network: nn.Module) -> bytes:
    """The weights as torch saves them; the same weights give the same bytes."""
    buffer = io.BytesIO()
    torch.save({name: weight.detach().cpu().contiguous() for name, weight in network.state_dict().items()}, buffer)
    return buffer.getvalue()
