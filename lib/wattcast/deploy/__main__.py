"""Write the manifests of k8s/spark-apps: `python -m wattcast.deploy [FOLDER]`."""

import sys
from pathlib import Path

from wattcast.deploy.applications import APPLICATIONS
from wattcast.deploy.manifests.documents import to_yaml
from wattcast.deploy.manifests.spark_application import manifest

HEAD = "# Written by `python -m wattcast.deploy` from lib/wattcast/deploy/applications.py: change it there.\n"


def manifest_files() -> dict[str, str]:
    """The text of each manifest by its file name."""
    return {f"{app.name}.yaml": HEAD + to_yaml(manifest(app)) for app in APPLICATIONS}


if __name__ == "__main__":
    folder = Path(sys.argv[1] if len(sys.argv) > 1 else "k8s/spark-apps")
    folder.mkdir(parents=True, exist_ok=True)
    for name, text in manifest_files().items():
        (folder / name).write_text(text, encoding="utf-8")
