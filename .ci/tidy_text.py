"""Tidy text files in place: no trailing whitespace, one newline at the end, no output in notebooks. Exit 1 if a file changed.

`python .ci/tidy_text.py FILE...`, called by pre-commit.
"""

import json
import sys
from pathlib import Path
from typing import Any


def tidy(text: str, *, is_notebook: bool = False) -> str:
    """The text as it should be committed."""
    if is_notebook:
        text = json.dumps(without_outputs(json.loads(text)), indent=1, ensure_ascii=False, sort_keys=True)
    lines = [line.rstrip() for line in text.splitlines()]
    return "\n".join(lines).rstrip("\n") + "\n" if any(lines) else ""


def without_outputs(notebook: dict[str, Any]) -> dict[str, Any]:
    """A notebook whose cells have neither outputs nor execution counts nor metadata of an editor."""
    cells = []
    for cell in notebook["cells"]:
        cleared = {"outputs": [], "execution_count": None} if cell["cell_type"] == "code" else {}
        cells.append(cell | cleared | {"metadata": {}})
    return notebook | {"cells": cells}


def main(names: list[str]) -> int:
    changed = 0
    for file in map(Path, names):
        before = file.read_text(encoding="utf-8")
        after = tidy(before, is_notebook=file.suffix == ".ipynb")
        if after != before:
            file.write_text(after, encoding="utf-8")
            print(f"{file} was tidied.")
            changed = 1
    return changed


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
