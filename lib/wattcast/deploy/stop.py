"""The preStop hook of a driver: `python3 -m wattcast.deploy.stop /path/of/jobs/ingest.py`.

Without it, Kubernetes would send SIGTERM to the JVM, which would end in the middle of a batch. The hook sends SIGTERM to the
Python process of the job, which ends between two batches; the JVM and the pod end with it.
"""

import sys

import psutil


def stop(main_file: str) -> None:
    """Terminate the processes that run this file, and wait for their end; Kubernetes kills them after the grace period."""
    jobs = [process for process in psutil.process_iter(["cmdline"]) if is_job(process, main_file)]
    for process in jobs:
        process.terminate()
    psutil.wait_procs(jobs)


def is_job(process: psutil.Process, main_file: str) -> bool:
    """Whether it is a Python process that runs this file; the JVM has the file among its later arguments."""
    return (process.info["cmdline"] or [])[1:2] == [main_file]


if __name__ == "__main__":
    stop(sys.argv[1])
