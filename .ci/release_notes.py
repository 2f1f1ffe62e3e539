"""Print the section of CHANGELOG.md for the version of a tag: `python .ci/release_notes.py v0.1.0`.

Ends with exit status 1 and a message if the tag is not the version of pyproject.toml, or if the section is missing.
"""

import re
import sys
import tomllib
from pathlib import Path

ROOT = Path(__file__).parents[1]


def release_notes(tag: str, *, version: str, changelog: str) -> str:
    """The section of the version, without its heading.

    Raises:
        ValueError: the tag is not of this version, or there is no section or an empty one.
    """
    if tag != f"v{version}":
        raise ValueError(f"The tag {tag} is not v{version}, the version of pyproject.toml.")
    section = re.search(rf"^## \[{re.escape(version)}\][^\n]*\n(.*?)(?=^## \[|\Z)", changelog, re.DOTALL | re.MULTILINE)
    if section is None or not section[1].strip():
        raise ValueError(f"CHANGELOG.md has no section for {version}.")
    return section[1].strip()


if __name__ == "__main__":
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    try:
        print(
            release_notes(
                sys.argv[1], version=project["version"], changelog=(ROOT / "CHANGELOG.md").read_text(encoding="utf-8")
            )
        )
    except ValueError as error:
        sys.exit(str(error))
