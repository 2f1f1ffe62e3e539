"""Training in several processes of this machine, started and watched by Spark's TorchDistributor."""

import logging
import os
from collections.abc import Sequence
from pathlib import Path

from pyspark.ml.torch.distributor import TorchDistributor

from wattcast.errors import told
from wattcast.job import configure_logging
from wattcast.local.embedded.preflight import check_java
from wattcast.session import is_submitted, spark_session
from wattcast.settings import settings
from wattcast_models.distributed import learn_together
from wattcast_models.group import Group
from wattcast_models.options import TrainingOptions
from wattcast_models.readings import Building
from wattcast_models.training import Diverged, OnCheck, Run, Trained
from wattcast_models.training_data import TrainingData

ENVIRONMENT = {"OMP_NUM_THREADS": "1", "PYTHONUNBUFFERED": "1"}  # one thread a process, and what it says at once


def train_on_spark(
    processes: int,
    source: TrainingData,
    buildings: Sequence[Building],
    options: TrainingOptions,
    checkpoint: Path,
    on_check: OnCheck,
    *,
    begin_anew: bool = False,
) -> Trained:
    """The network that so many processes train together; `buildings` are those that each of them reads from the source.

    The same seed, data, options and number of processes give the same weights. A run that was killed goes on from its
    checkpoint, and with `begin_anew` from the beginning where that is of another run. ValueError when the data are too few or a
    process fails.
    """
    run = Run.start(buildings, options, group=Group(size=processes))  # what is wrong with the data is said here, once
    if begin_anew:
        run.make_way(checkpoint)
    configure_logging()
    os.environ.update(ENVIRONMENT)
    checkpoint.parent.mkdir(parents=True, exist_ok=True)
    with told():
        if not is_submitted():
            check_java()
        spark = spark_session(settings(), name="train")
    try:
        distributor = TorchDistributor(num_processes=processes, local_mode=True, use_gpu=False)
        logging.getLogger("TorchDistributor").setLevel(logging.WARNING)
        wrong = distributor.run(learn_together, source, options, checkpoint.resolve(), on_check)
    except RuntimeError as error:
        raise ValueError("A process of the training failed; what it said is above.") from error
    finally:
        spark.stop()
    if wrong:
        raise Diverged(wrong)
    run.load(checkpoint)
    return run.finish(checkpoint)
