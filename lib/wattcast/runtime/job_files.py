"""Loads the Spark applications in jobs/ from their files; spark-submit and the operator start the same files."""

from collections.abc import Iterable
from importlib.util import module_from_spec, spec_from_file_location
from types import ModuleType

from wattcast.runtime.job import Job
from wattcast.settings import project_folder


def load_job_file(name: str) -> ModuleType:
    """The application jobs/<name>.py as a module; its `main` runs it."""
    file = project_folder("jobs") / f"{name.replace('-', '_')}.py"
    spec = spec_from_file_location(f"wattcast_jobs.{file.stem}", file)
    if spec is None or spec.loader is None:
        raise ImportError(f"{file} is not a Python file")
    module = module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def load_jobs(names: Iterable[str]) -> list[Job]:
    """The streaming job of each application."""
    return [getattr(load_job_file(name), name.upper()) for name in names]
