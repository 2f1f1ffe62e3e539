"""Training runs in a real MLflow store, and training that goes on without one."""

import logging
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from wattcast_models.registry.registry import Registry
from wattcast_models.tracking.mlflow_store import with_client
from wattcast_models.tracking.runs import tracked_run


def test_a_run_keeps_parameters_metrics_by_step_plots_files_and_the_artifact(
    registry: Registry, write_artifact: Callable[..., Path], tmp_path: Path
) -> None:
    from matplotlib.figure import Figure

    (tmp_path / "scores.json").write_text("{}")
    with tracked_run("mlp", {"hidden": 16, "network": "mlp"}, tracking_uri=registry.uri) as run:
        run.log_metrics(1, {"loss": 2.0, "validation_loss": 3.0})
        run.log_metrics(2, {"loss": 1.0})
        run.log_figure(Figure(), "calibration.png")
        run.log_file(tmp_path / "scores.json")
        run.log_artifact(write_artifact())
    kept = with_client(registry.uri, lambda client: client.get_run(run.run_id))
    history = with_client(registry.uri, lambda client: client.get_metric_history(run.run_id, "loss"))
    files = with_client(registry.uri, lambda client: client.list_artifacts(run.run_id))
    assert kept.data.params == {"hidden": "16", "network": "mlp"}
    assert [(each.step, each.value) for each in history] == [(1, 2.0), (2, 1.0)]
    assert sorted(each.path for each in files) == ["calibration.png", "model", "scores.json"]
    assert (kept.info.status, kept.info.run_name) == ("FINISHED", "mlp")
    assert len(list((tmp_path / "mlflow" / "artifacts").rglob("model.pt"))) == 1


@pytest.mark.parametrize(("raised", "status"), [(ValueError("NaN"), "FAILED"), (KeyboardInterrupt(), "KILLED")])
def test_a_run_says_how_it_ended(registry: Registry, raised: BaseException, status: str) -> None:
    with pytest.raises(type(raised)), tracked_run("mlp", {}, tracking_uri=registry.uri) as run:
        raise raised
    assert with_client(registry.uri, lambda client: client.get_run(run.run_id)).info.status == status


def test_training_goes_on_with_one_warning_when_the_server_is_away(
    caplog: pytest.LogCaptureFixture, rubbish_server: str, tmp_path: Path
) -> None:
    for uri in ("http://127.0.0.1:1", rubbish_server):
        caplog.clear()
        began = time.monotonic()
        with tracked_run("mlp", {"seed": 0}, tracking_uri=uri) as run:
            for step in range(100):
                run.log_metrics(step, {"loss": 1.0})
            run.log_artifact(tmp_path)
        warnings = [record.getMessage() for record in caplog.records if record.levelno >= logging.WARNING]
        assert len(warnings) == 1
        assert "no longer tracked in MLflow" in warnings[0]
        assert time.monotonic() - began < 30
