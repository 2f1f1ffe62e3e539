"""Train a model while alerts call for one: for cron or a Kubernetes CronJob, which start it again and again."""

import fcntl
import signal
import subprocess
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import IO, Annotated

import typer

from wattcast.errors import refuse
from wattcast.lake.reader import TableUnreadable
from wattcast.monitoring.alerting.retraining import record_training_start, retraining_decision
from wattcast.settings import Settings, settings


def main(
    force: Annotated[
        bool, typer.Option("--force", help="Train even without an open alert or soon after the last training.")
    ] = False,
) -> None:
    """Train and promote a model if an alert calls for one. Prints why it trains or not; not training is no failure. The exit
    status of a training is that of `wattcast train`.

    It trains if an alert of a rule with `retrains` in conf/alerts.yaml is open and no training started within
    monitoring.retrain_hours; the gate decides whether the new model becomes the champion.
    """
    current = settings()
    with training_lock(current.state.resolve()) as lock:
        if lock is None:
            typer.echo("Not training: the training of another `wattcast retrain` is still running.")
            return
        status = retrained(current, lock, force=force)
    sys.exit(status)


def retrained(current: Settings, lock: IO[bytes], *, force: bool) -> int:
    """Decide, print the reason, and train if it is due; the exit status."""
    now = datetime.now(UTC)
    try:
        decision = retraining_decision(current, now, force=force)
        typer.echo(decision.reason)
        if not decision.is_due:
            return 0
        record_training_start(current, now, decision.causes)
    except TableUnreadable as error:
        refuse(f"{error} Jobs create the tables when they start, such as `wattcast run monitor`.")
    return supervised(training_command(current.state.resolve()), lock)


def training_command(state: Path) -> list[str]:
    """A killed training is resumed if the data are still the same; otherwise its checkpoint is removed (--begin-anew)."""
    out = str(state / "retrained")
    return [sys.executable, "-m", "wattcast.cli", "train", "--out", out, "--begin-anew", "--promote"]


@contextmanager
def training_lock(state: Path) -> Iterator[IO[bytes] | None]:
    """The lock of the one training of this state folder; None where another process holds it."""
    state.mkdir(parents=True, exist_ok=True)
    with (state / "retrain.lock").open("ab") as file:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            yield None
            return
        yield file


def supervised(command: Sequence[str], lock: IO[bytes]) -> int:
    """Run a command in the foreground and return its exit status; SIGTERM stops it, too. It inherits the lock, so that the lock
    is held until it ends even if this process is killed."""
    process = subprocess.Popen(command, pass_fds=[lock.fileno()])
    previous = signal.signal(signal.SIGTERM, lambda *_: process.terminate())
    try:
        status = process.wait()
    except KeyboardInterrupt:  # the terminal sends it to the command as well
        status = process.wait()
    finally:
        signal.signal(signal.SIGTERM, previous)
    return status if status >= 0 else 128 - status
