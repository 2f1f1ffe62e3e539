"""Training in several processes on this machine, started and supervised by Spark's TorchDistributor."""

import logging
import os
from collections.abc import Sequence
from pathlib import Path

from pyspark.ml.torch.distributor import TorchDistributor

from wattcast.embedded.preflight import check_java
from wattcast.errors import exit_on_user_error
from wattcast.logs import configure_logging
from wattcast.runtime.session import is_submitted, spark_session
from wattcast.settings import settings
from wattcast_models.data.readings import Building
from wattcast_models.data.training_data import TrainingData
from wattcast_models.training.distributed import train_rank
from wattcast_models.training.loop import Diverged, OnCheck, TrainedModel, TrainingRun
from wattcast_models.training.options import TrainingOptions
from wattcast_models.training.process_group import ProcessGroup

ENVIRONMENT = {"OMP_NUM_THREADS": "1", "PYTHONUNBUFFERED": "1"}  # one thread per process, output at once


def train_on_spark(
    processes: int,
    source: TrainingData,
    buildings: Sequence[Building],
    options: TrainingOptions,
    checkpoint: Path,
    on_check: OnCheck,
    *,
    begin_anew: bool = False,
) -> TrainedModel:
    """The network that `processes` processes train together; `buildings` are the ones that each of them reads from the source.

    The same seed, data, options and number of processes give the same weights. A run that was killed continues from its
    checkpoint; with `begin_anew` a checkpoint of another run is removed. ValueError if there are too few data or a process fails.
    """
    # Raises for too few data here, once, instead of in every process.
    run = TrainingRun.start(buildings, options, group=ProcessGroup(size=processes))
    if begin_anew:
        run.discard_stale_checkpoint(checkpoint)
    configure_logging()
    os.environ.update(ENVIRONMENT)
    checkpoint.parent.mkdir(parents=True, exist_ok=True)
    with exit_on_user_error():
        if not is_submitted():
            check_java()
        spark = spark_session(settings(), name="train")
    try:
        distributor = TorchDistributor(num_processes=processes, local_mode=True, use_gpu=False)
        logging.getLogger("TorchDistributor").setLevel(logging.WARNING)
        divergence = distributor.run(train_rank, source, options, checkpoint.resolve(), on_check)
    except RuntimeError as error:
        raise ValueError("A training process failed; its output is above.") from error
    finally:
        spark.stop()
    if divergence:
        raise Diverged(divergence)
    run.load(checkpoint)
    return run.finish(checkpoint)
