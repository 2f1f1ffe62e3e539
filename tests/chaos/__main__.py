"""`python -m tests.chaos` (`make chaos`): a pipeline under faults, and whether it lost, doubled or changed a row."""

import argparse
import secrets
import shutil
import sys
import tempfile
import time
from pathlib import Path

from tests.chaos.broker import ChaosBroker
from tests.chaos.injection import Tally
from tests.chaos.judge.evidence import load_evidence, read_sent
from tests.chaos.judge.verdict import Verdict, verdict
from tests.chaos.platform import MAX_DAYS, ChaosFailed
from tests.chaos.report import report
from tests.chaos.run import Chaos, Options


def main() -> None:
    """Exits 1 if a row was lost, doubled or wrong, or if the run could not go on."""
    options = _options()
    seed = secrets.randbelow(2**32) if options.seed is None else options.seed
    state = Path(tempfile.mkdtemp(prefix="wattcast-chaos-")) if options.state is None else options.state.resolve()
    print(f"seed {seed}, state folder {state}", flush=True)
    try:
        if options.judge_only:
            result, tally = _judged(state), Tally()
        else:
            state.mkdir(parents=True, exist_ok=True)
            result, tally = _run(Options(state, seed, options.minutes, options.buildings, options.days))
    except ChaosFailed as failure:
        sys.exit(str(failure))
    print(report(result, tally))
    if result.findings:
        sys.exit(f"Chaos with seed {seed} found faults. The topics and tables are in {state}.")
    if options.state is None:
        shutil.rmtree(state)


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m tests.chaos", description=__doc__)
    parser.add_argument("--minutes", type=float, default=5, help="how long faults are injected; default: 5")
    parser.add_argument("--seed", type=int, help="of the readings and of the plan of faults; default: a new one")
    parser.add_argument("--buildings", type=int, default=12, help="simulated buildings; default: 12")
    parser.add_argument(
        "--days",
        type=int,
        default=3,
        choices=range(1, MAX_DAYS + 1),
        metavar="N",
        help=f"days of readings, 1 to {MAX_DAYS}; default: 3",
    )
    parser.add_argument("--state", type=Path, help="an empty folder, which is kept; default: a temporary one")
    parser.add_argument("--judge-only", action="store_true", help="judge the run in --state again")
    options = parser.parse_args()
    if options.judge_only and options.state is None:
        parser.error("--judge-only needs --state")
    if not options.judge_only and options.state is not None and options.state.exists() and any(options.state.iterdir()):
        parser.error(f"{options.state} is not empty: name a new folder, or judge the run in it with --judge-only")
    return options


def _run(options: Options) -> tuple[Verdict, Tally]:
    began = time.monotonic()
    broker = ChaosBroker(options.state)
    chaos = Chaos(options, broker, lambda line: print(f"[{time.monotonic() - began:5.0f} s] {line}", flush=True))
    try:
        return verdict(chaos.run()), chaos.tally
    finally:
        chaos.close()
        broker.stop()


def _judged(state: Path) -> Verdict:
    broker = ChaosBroker(state)
    broker.start()
    try:
        return verdict(load_evidence(broker.servers, state / "lake", *read_sent(state / "sent.jsonl")))
    finally:
        broker.stop()


if __name__ == "__main__":
    main()
