"""A deployment to a cluster without the Spark operator is refused, and nothing is sent to it."""

from pathlib import Path

import pytest
from tests.lib.deploy.api_server import ApiServer

from wattcast.cli.main import main


def test_deployment_to_a_cluster_without_operator_is_refused_and_sends_nothing(
    server: ApiServer, capsys: pytest.CaptureFixture[str]
) -> None:
    server.answer = lambda _, __: (404, "not found")
    manifests = Path(__file__).parents[4] / "k8s/spark-apps/ingest.yaml"
    with pytest.raises(SystemExit) as ended:
        main(["deploy", "--manifests", str(manifests)])
    assert ended.value.code == 2
    assert capsys.readouterr().err == (
        "The cluster has no Spark operator: it does not know sparkoperator.k8s.io/v1beta2. "
        "k8s/README.md says how to install it.\n"
    )
    assert server.requests == ["GET /openapi/v3/apis/sparkoperator.k8s.io/v1beta2"]
