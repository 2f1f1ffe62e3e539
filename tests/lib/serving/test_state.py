"""The state of the API has a type, and importing the API does no work."""

import importlib
import inspect
import pkgutil
import subprocess
import sys
from collections.abc import Iterator
from typing import Any

import pytest
from fastapi import FastAPI

import wattcast.serving

STATE_PARAMETERS = {"state", "serving", "server"}
COUNT_CONTRACT_READS = """
import sys
from wattcast import contracts

readers = []
read_contract = contracts.contract

def counted(*arguments, **options):
    readers.append(sys._getframe(1).f_globals["__name__"])
    return read_contract(*arguments, **options)

contracts.contract = counted
import wattcast.serving.app
print(sorted(name for name in readers if name.startswith("wattcast.serving")))
"""


def functions() -> Iterator[Any]:
    """Every function and method that the modules of the API define."""
    for info in pkgutil.walk_packages(wattcast.serving.__path__, "wattcast.serving."):
        module = importlib.import_module(info.name)
        for member in vars(module).values():
            if getattr(member, "__module__", None) != info.name:
                continue
            yield from filter(inspect.isfunction, vars(member).values() if inspect.isclass(member) else [member])


def test_no_signature_leaves_the_type_of_the_state_open() -> None:
    checked = 0
    for function in functions():
        for parameter in inspect.signature(function).parameters.values():
            if parameter.name in STATE_PARAMETERS:
                checked += 1
                where = f"{function.__module__}.{function.__qualname__}"
                assert parameter.annotation not in (Any, inspect.Parameter.empty), where
                assert Any not in getattr(parameter.annotation, "__args__", ()), where
    assert checked > 10


def test_app_with_another_state_is_refused() -> None:
    from wattcast.serving.state import state_of

    app = FastAPI()
    app.state.serving = object()
    with pytest.raises(TypeError, match="build the app by create_app"):
        state_of(app)


def test_import_of_the_api_reads_no_contract() -> None:
    finished = subprocess.run([sys.executable, "-c", COUNT_CONTRACT_READS], capture_output=True, text=True, check=True)
    assert finished.stdout.strip() == "[]"
