"""All streaming jobs in one application: a laptop's, or a small site's."""

from collections.abc import Sequence

from wattcast.runtime.job import run
from wattcast.runtime.job_files import load_jobs

JOBS = ("ingest", "aggregate", "forecast", "publish", "score")


def main(argv: Sequence[str] | None = None) -> None:
    run(*load_jobs(JOBS), name="pipeline", argv=argv)


if __name__ == "__main__":
    main()
