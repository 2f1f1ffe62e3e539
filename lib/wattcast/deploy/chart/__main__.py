"""Write the Helm chart: `python -m wattcast.deploy.chart [FOLDER]`. It needs kubectl or kustomize."""

import sys
from pathlib import Path

from wattcast.deploy.chart.files import chart_files

if __name__ == "__main__":
    folder = Path(sys.argv[1] if len(sys.argv) > 1 else "k8s/helm/wattcast")
    (folder / "templates").mkdir(parents=True, exist_ok=True)
    for file in (folder / "templates").glob("*.yaml"):
        file.unlink()
    for name, text in chart_files().items():
        (folder / name).write_text(text, encoding="utf-8")
