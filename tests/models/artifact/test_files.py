import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch

from wattcast_models.artifact.files import read_artifact, save_artifact
from wattcast_models.artifact.folder import ArtifactError, shipped_artifact
from wattcast_models.artifact.predictor import Predictor
from wattcast_models.artifact.weights import build_network, weights_bytes


def edit(folder: Path, **changes: Any) -> None:
    file = folder / "model_config.json"
    file.write_text(json.dumps(json.loads(file.read_text()) | changes))


def test_the_same_weights_give_the_same_bytes(write_artifact: Callable[..., Path]) -> None:
    folder = write_artifact()
    config, weights = read_artifact(folder)
    assert weights_bytes(build_network(config, weights)) == weights


def test_changed_weights_are_refused(write_artifact: Callable[..., Path]) -> None:
    folder = write_artifact()
    weights = bytearray((folder / "model.pt").read_bytes())
    weights[len(weights) // 2] ^= 1
    (folder / "model.pt").write_bytes(weights)
    with pytest.raises(ArtifactError, match="sha256 differs"):
        Predictor.read(folder)


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"format_version": 99}, "format_version 99"),
        ({"inputs": ["energy_usage_kwh", "moon"]}, "moon"),
        ({"features": ["day_1"]}, "other features"),
        ({"network": {"kind": "oracle"}}, "network is unknown"),
        ({"network": {"kind": "mlp", "hidden": 16, "summary": 8}}, "network is unknown"),
        ({"network": {"kind": "mlp", "hidden": 10**9, "summary": 8, "dropout": 0.0}}, "network is unknown"),
        ({"network": {"kind": "ensemble", "members": []}}, "network is unknown"),
        ({"network": {"kind": "ensemble", "members": [{"kind": "ensemble", "members": []}]}}, "network is unknown"),
        ({"network": {"kind": "mlp", "hidden": 8, "summary": 8, "dropout": 0.0}}, "cannot be loaded"),
        ({"quantiles": [0.5]}, "quantiles"),
        ({"quantiles": [0.9, 0.5, 0.1]}, "quantiles"),
        ({"quantiles": [0.1, "0.5", 0.9]}, "quantiles"),
        ({"calibration": {"0.1": [1.0]}}, "calibration"),
        ({"calibration": {"0.1": [1.0] * 168, "0.9": [float("nan")] * 168}}, "calibration"),
        ({"context_hours": 700}, "whole days"),
        ({"lead_hours": 1000}, "lead_hours"),
        ({"version": None}, "version"),
    ],
)
def test_a_config_that_this_version_cannot_run_is_refused(
    write_artifact: Callable[..., Path], changes: dict[str, Any], message: str
) -> None:
    folder = write_artifact()
    edit(folder, **changes)
    with pytest.raises(ArtifactError, match=message):
        Predictor.read(folder)


def test_weights_that_are_not_finite_are_refused(write_artifact: Callable[..., Path]) -> None:
    folder = write_artifact()
    config, weights = read_artifact(folder)
    network = build_network(config, weights)
    network.head.out.bias[0] = torch.nan
    save_artifact(folder, network, config)
    with pytest.raises(ArtifactError, match="not all finite"):
        Predictor.read(folder)


@pytest.mark.parametrize("content", [b"", b"not weights"])
def test_weights_that_torch_cannot_read_are_refused(write_artifact: Callable[..., Path], content: bytes) -> None:
    config, _ = read_artifact(write_artifact())
    with pytest.raises(ArtifactError, match="cannot be loaded"):
        build_network(config, content)


def test_a_folder_that_is_missing_or_half_written_is_refused(
    tmp_path: Path, write_artifact: Callable[..., Path]
) -> None:
    with pytest.raises(ArtifactError, match="no model artifact"):
        Predictor.read(tmp_path / "nowhere")
    folder = write_artifact()
    (folder / "model_config.json").write_text("{")
    with pytest.raises(ArtifactError, match="not JSON"):
        Predictor.read(folder)


def test_the_shipped_artifact_loads_and_is_small_and_names_its_data() -> None:
    folder = shipped_artifact()
    predictor = Predictor.read(folder)
    assert sum(file.stat().st_size for file in folder.iterdir()) < 16_000_000
    assert predictor.lead_hours == 168
    assert "Cambridge" in predictor.config["attribution"]
    assert len(predictor.config["training_building_ids"]) == 79
