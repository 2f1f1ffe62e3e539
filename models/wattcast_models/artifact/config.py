"""The config of an artifact (model_config.json): which keys it must have and which values this version can run."""

from typing import Any

from wattcast_models.artifact.folder import ArtifactError
from wattcast_models.artifact.reference import is_reference
from wattcast_models.features.columns import HOUR_COLUMNS, feature_names
from wattcast_models.networks.bias_correction import MAX_DAYS
from wattcast_models.networks.calibration import is_calibration
from wattcast_models.networks.networks import ENSEMBLE, KINDS
from wattcast_models.quantiles import QUANTILES
from wattcast_models.time_units import DAY_HOURS, WEEK_HOURS

FORMAT_VERSION = 2
MAX_LAYER_UNITS = 4096  # a config from an unknown source must not exhaust the memory
REQUIRED_KEYS: dict[str, type | tuple[type, ...]] = {
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


def check_config(config: Any) -> None:
    """Raise ArtifactError unless this version can run a model with this config."""
    if not isinstance(config, dict) or config.get("format_version") != FORMAT_VERSION:
        version = config.get("format_version") if isinstance(config, dict) else type(config).__name__
        raise ArtifactError(f"The artifact has format_version {version}; this version reads {FORMAT_VERSION}.")
    if wrong := [key for key, kind in REQUIRED_KEYS.items() if not isinstance(config.get(key), kind)]:
        raise ArtifactError(f"In the artifact's config these keys are missing or of a wrong type: {', '.join(wrong)}.")
    _check_network(config)
    _check_horizon(config)
    _check_corrections(config)


def _check_network(config: dict[str, Any]) -> None:
    if unknown := [name for name in config["inputs"] if name not in HOUR_COLUMNS]:
        raise ArtifactError(f"The artifact has unknown inputs: {', '.join(map(str, unknown))}.")
    if config["features"] != feature_names(config["inputs"]):
        raise ArtifactError("The artifact was trained on other features than this version computes: train it again.")
    if not _is_network(config["network"]):
        raise ArtifactError(f"The artifact's network is unknown: {config['network']}.")
    if not _are_quantiles(config["quantiles"]):
        raise ArtifactError(
            f"The artifact has the quantiles {config['quantiles']}; they must ascend and include {list(QUANTILES)}."
        )


def _check_horizon(config: dict[str, Any]) -> None:
    context, leads = config["context_hours"], config["lead_hours"]
    if context % DAY_HOURS or not (WEEK_HOURS <= context <= 366 * DAY_HOURS and 1 <= leads <= WEEK_HOURS):
        raise ArtifactError(
            "The artifact's context must be whole days, 168 to 8784 hours, and its lead_hours 1 to 168."
        )


def _check_corrections(config: dict[str, Any]) -> None:
    """The keys that an artifact may lack."""
    quantiles, leads = config["quantiles"], config["lead_hours"]
    if "calibration" in config and not is_calibration(config["calibration"], quantiles, lead_hours=leads):
        raise ArtifactError("The artifact's calibration must have a factor from 0.2 to 5 per quantile and lead hour.")
    days = config.get("bias_days", 0)
    if not isinstance(days, int) or not 0 <= days <= MAX_DAYS:
        raise ArtifactError(f"The artifact's bias_days must be 0 to {MAX_DAYS}, not {days}.")
    if "reference" in config and not is_reference(config["reference"]):
        raise ArtifactError("The artifact's reference must have ascending quantiles of each input by month.")


def _are_quantiles(levels: list[Any]) -> bool:
    are_levels = all(isinstance(level, float) and 0 < level < 1 for level in levels)
    return are_levels and sorted(set(levels)) == levels and set(QUANTILES) <= set(levels)


def _is_network(network: Any) -> bool:
    """Whether `networks.build` can build this: a network of a known kind, or an ensemble of such networks."""
    if not isinstance(network, dict):
        return False
    if network.get("kind") == ENSEMBLE:
        members = network.get("members")
        return isinstance(members, list) and bool(members) and all(map(_is_member, members))
    return _is_member(network)


def _is_member(network: Any) -> bool:
    if not isinstance(network, dict) or network.get("kind") not in KINDS:
        return False
    sizes = (network.get("hidden"), network.get("summary"))
    if not all(isinstance(size, int) and 0 < size <= MAX_LAYER_UNITS for size in sizes):
        return False
    return isinstance(network.get("dropout"), float) and 0 <= network["dropout"] < 1
