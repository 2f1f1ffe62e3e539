"""Write k8s/spark-apps anew: `python -m wattcast.deploy`, with the folder if it is another."""

import sys
from pathlib import Path

from wattcast.deploy.applications import APPLICATIONS
from wattcast.deploy.manifests import as_yaml, manifest

HEAD = "# Written by `python -m wattcast.deploy` from lib/wattcast/deploy/applications.py: change it there.\n"


def files() -> dict[str, str]:
    """The manifests by the names of their files."""
    return {f"{app.name}.yaml": HEAD + as_yaml(manifest(app)) for app in APPLICATIONS}


if __name__ == "__main__":
    folder = Path(sys.argv[1] if len(sys.argv) > 1 else "k8s/spark-apps")
    folder.mkdir(parents=True, exist_ok=True)
    for name, text in files().items():
        (folder / name).write_text(text, encoding="utf-8")
