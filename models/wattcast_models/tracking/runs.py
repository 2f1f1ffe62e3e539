"""Training runs in MLflow: parameters, metrics by step, plots and the artifact. A failure of MLflow never stops a training."""

import logging
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

from wattcast_models.tracking.mlflow_store import StoreError, experiment, with_client

if TYPE_CHECKING:
    from matplotlib.figure import Figure

log = logging.getLogger("wattcast.models")

EXPERIMENT = "wattcast"


class TrackedRun:
    """A run in MLflow. The first failure is logged as a warning and ends the tracking."""

    def __init__(self, name: str, params: Mapping[str, object], *, tracking_uri: str) -> None:
        self._uri = tracking_uri
        self.run_id = ""  # empty if the run is not tracked
        self._write(lambda client: self._create(client, name, params))

    def log_metrics(self, step: int, values: Mapping[str, float]) -> None:
        def write(client: Any) -> None:
            from mlflow.entities import Metric
            from mlflow.utils.time import get_current_time_millis

            now = get_current_time_millis()
            entries = [Metric(name, float(value), now, step) for name, value in values.items()]
            client.log_batch(self.run_id, metrics=entries)

        self._write_if_tracked(write)

    def log_figure(self, figure: "Figure", name: str) -> None:
        """Store a plot as `name`, such as calibration.png."""
        self._write_if_tracked(lambda client: client.log_figure(self.run_id, figure, name))

    def log_file(self, path: Path) -> None:
        self._write_if_tracked(lambda client: client.log_artifact(self.run_id, str(path)))

    def log_artifact(self, folder: Path) -> None:
        """Store the files of a model artifact in the folder `model`."""
        self._write_if_tracked(lambda client: client.log_artifacts(self.run_id, str(folder), "model"))

    def end(self, status: str) -> None:
        """`status` is FINISHED, FAILED or KILLED."""
        self._write_if_tracked(lambda client: client.set_terminated(self.run_id, status))

    def _create(self, client: Any, name: str, params: Mapping[str, object]) -> None:
        from mlflow.entities import Param

        run_id = client.create_run(experiment(client, self._uri, EXPERIMENT), run_name=name).info.run_id
        client.log_batch(run_id, params=[Param(key, str(value)) for key, value in params.items()])
        self.run_id = run_id

    def _write_if_tracked(self, write: Callable[[Any], None]) -> None:
        if self.run_id:
            self._write(write)

    def _write(self, write: Callable[[Any], None]) -> None:
        try:
            with_client(self._uri, write)
        except StoreError as error:
            self.run_id = ""
            log.warning("The training run is no longer tracked in MLflow: %s", error)


@contextmanager
def tracked_run(name: str, params: Mapping[str, object], *, tracking_uri: str) -> Iterator[TrackedRun]:
    """A run of the experiment `wattcast`. It ends as FINISHED, as KILLED after Ctrl-C, or as FAILED after any other error."""
    run = TrackedRun(name, params, tracking_uri=tracking_uri)
    try:
        yield run
    except KeyboardInterrupt:
        run.end("KILLED")
        raise
    except BaseException:  # also SystemExit and a closed generator: the store must not show the run as running for ever
        run.end("FAILED")
        raise
    run.end("FINISHED")
