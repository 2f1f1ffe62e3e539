"""Calls generated from the OpenAPI document: none causes a server error, and every response matches its schema."""

from collections import Counter
from contextlib import suppress
from pathlib import Path

import schemathesis
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis.errors import Unsatisfiable
from schemathesis.checks import not_a_server_error
from schemathesis.specs.openapi.checks import (
    content_type_conformance,
    response_headers_conformance,
    response_schema_conformance,
    status_code_conformance,
)
from tests.lib.serving.conftest import forecaster, settings_of

from wattcast.serving.app import create_app
from wattcast.serving.state import state_of

CALLS, CALLS_PER_MODE, EVENTS = 800, 40, "/v1/events"


CHECKS = [
    not_a_server_error, status_code_conformance, content_type_conformance, response_headers_conformance,
    response_schema_conformance,
]  # fmt: skip


def test_generated_calls_cause_no_server_error(state: Path) -> None:
    app = create_app(settings_of(state), forecaster())
    state_of(app).snapshot.refresh()
    schema = schemathesis.openapi.from_asgi("/openapi.json", app)
    operations = [result.ok() for result in schema.get_all_operations()]
    operations = [operation for operation in operations if operation.path != EVENTS]
    statuses: Counter[int] = Counter()
    for operation in operations:
        for mode in schemathesis.GenerationMode:
            strategy = operation.as_strategy(generation_mode=mode)

            @settings(
                max_examples=CALLS_PER_MODE, deadline=None, database=None, derandomize=True, phases=[Phase.generate],
                suppress_health_check=list(HealthCheck),
            )  # fmt: skip
            @given(case=strategy)
            def check(case: schemathesis.Case) -> None:
                answer = case.call()
                statuses[answer.status_code] += 1
                case.validate_response(answer, checks=CHECKS)

            with suppress(Unsatisfiable):  # without parameters nothing can be wrong
                check()
    print(statuses)
    assert statuses.total() >= CALLS
    assert statuses[200] > CALLS // 10
