"""What Kubernetes runs in a driver before it ends it: `python3 -m wattcast.deploy.stop /path/of/jobs/ingest.py`.

Kubernetes would send SIGTERM to the JVM, which ends in the middle of a batch. Here the Python process of the job gets it and
ends between two batches; with it ends the JVM, and with that the pod.
"""

import sys

import psutil


def stop(main_file: str) -> None:
    """Tell the processes that run this file to stop, and wait for their end; Kubernetes kills what takes too long."""
    running = [process for process in psutil.process_iter(["cmdline"]) if is_job(process, main_file)]
    for process in running:
        process.terminate()
    psutil.wait_procs(running)


def is_job(process: psutil.Process, main_file: str) -> bool:
    """Whether it is a Python that runs this file; the JVM has it among its arguments, too."""
    return (process.info["cmdline"] or [])[1:2] == [main_file]


if __name__ == "__main__":
    stop(sys.argv[1])
