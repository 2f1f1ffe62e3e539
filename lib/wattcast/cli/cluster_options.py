"""Options that several cluster commands share."""

from typing import Annotated

import typer

STOP_SECONDS, RUN_SECONDS = 900, 24 * 3600
DEPLOY_SECONDS = 2 * STOP_SECONDS  # the running application first ends its batch, which may take as long as a stop
SETTLE_SECONDS = 30

Context = Annotated[
    str, typer.Option(help="Context of the kubeconfig. Default: its current context; in a pod, the pod's own cluster.")
]
Namespace = Annotated[
    str,
    typer.Option(
        help="Namespace. Default: that of the context, or the only one that has applications.", show_default=False
    ),
]
Overlay = Annotated[str, typer.Argument(help="dev, prod, or a folder with your own kustomization.yaml.")]
Manifests = Annotated[
    str,
    typer.Option(metavar="FILE", help="Use this rendered YAML instead of an overlay; - reads standard input."),
]
NoWait = Annotated[bool, typer.Option("--no-wait", help="Return without waiting.")]
StartSeconds = Annotated[int, typer.Option(min=1, help="Seconds to wait until the applications run.")]
StopSeconds = Annotated[int, typer.Option(min=1, help="Seconds to wait until the current batches finish.")]
RunSeconds = Annotated[int, typer.Option(min=1, help="Seconds to wait until the run ends.")]
Settle = Annotated[
    int,
    typer.Option(
        min=0,
        help="Seconds for which driver and executor must have run; 0: it is enough that the operator reports RUNNING.",
    ),
]
