"""Which model forecasts: set an artifact, or show the one that is set."""

import sys
from pathlib import Path

from rich.pretty import pprint

from wattcast.errors import told
from wattcast.settings import settings
from wattcast_models.predictor import Predictor
from wattcast_models.registry import current_artifact, use


@told()
def main(command: str, folder: str = "") -> None:
    current = settings()
    models = current.state / "models"
    try:
        predictor = (
            use(Path(folder), models=models)
            if command == "use"
            else Predictor.read(current_artifact(current.model.artifact, models=models))
        )
    except (OSError, ValueError) as error:
        print(error, file=sys.stderr)
        sys.exit(2)
    print(f"{predictor.name} {predictor.version}")
    if command == "show":
        pprint({key: value for key, value in predictor.config.items() if key != "training_building_ids"})


if __name__ == "__main__":
    main(*sys.argv[1:])
