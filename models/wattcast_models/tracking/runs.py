"""Training runs in MLflow: parameters, metrics by step, plots and the artifact; training never waits or fails for it."""

import logging
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

from wattcast_models.mlflow_store import StoreError, asked, experiment

if TYPE_CHECKING:
    from matplotlib.figure import Figure

log = logging.getLogger("wattcast.models")

EXPERIMENT = "wattcast"


class TrackedRun:
    """A run of MLflow while it answers. The first failure is a warning, and from then on nothing is tracked."""

    def __init__(self, name: str, params: Mapping[str, object], *, tracking_uri: str) -> None:
        self._uri = tracking_uri
        self.run_id = ""  # empty when nothing is tracked
        self._write(lambda client: self._begin(client, name, params))

    def metrics(self, step: int, values: Mapping[str, float]) -> None:
        def log_metrics(client: Any) -> None:
            from mlflow.entities import Metric
            from mlflow.utils.time import get_current_time_millis

            now = get_current_time_millis()
            entries = [Metric(name, float(value), now, step) for name, value in values.items()]
            client.log_batch(self.run_id, metrics=entries)

        self._write_if_begun(log_metrics)

    def figure(self, figure: "Figure", name: str) -> None:
        """A plot as `name`, such as calibration.png."""
        self._write_if_begun(lambda client: client.log_figure(self.run_id, figure, name))

    def file(self, path: Path) -> None:
        self._write_if_begun(lambda client: client.log_artifact(self.run_id, str(path)))

    def artifact(self, folder: Path) -> None:
        """The files of a model artifact, under `model`."""
        self._write_if_begun(lambda client: client.log_artifacts(self.run_id, str(folder), "model"))

    def end(self, status: str) -> None:
        """`status` is FINISHED, FAILED or KILLED."""
        self._write_if_begun(lambda client: client.set_terminated(self.run_id, status))

    def _begin(self, client: Any, name: str, params: Mapping[str, object]) -> None:
        from mlflow.entities import Param

        run_id = client.create_run(experiment(client, self._uri, EXPERIMENT), run_name=name).info.run_id
        client.log_batch(run_id, params=[Param(key, str(value)) for key, value in params.items()])
        self.run_id = run_id

    def _write_if_begun(self, write: Callable[[Any], None]) -> None:
        if self.run_id:
            self._write(write)

    def _write(self, write: Callable[[Any], None]) -> None:
        try:
            asked(self._uri, write)
        except StoreError as error:
            self.run_id = ""
            log.warning("The run is not tracked from here on: %s", error)


@contextmanager
def tracked(name: str, params: Mapping[str, object], *, tracking_uri: str) -> Iterator[TrackedRun]:
    """A run of the experiment `wattcast`, ended as FINISHED, or as FAILED or KILLED by what ended it."""
    run = TrackedRun(name, params, tracking_uri=tracking_uri)
    try:
        yield run
    except KeyboardInterrupt:
        run.end("KILLED")
        raise
    except BaseException:
        run.end("FAILED")
        raise
    run.end("FINISHED")
