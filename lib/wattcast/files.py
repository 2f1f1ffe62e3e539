"""Files that are written atomically."""

import os
from pathlib import Path


def write_atomically(file: Path, text: str, *, mode: int = 0o666) -> None:
    """Write a file so that a reader sees its previous content or all of the new, never a part. `mode` are its permissions, less
    the umask; missing folders are created.

    The text goes into a hidden file of this process in the same folder, which is then renamed: processes may write at once, and
    the last one wins.
    """
    file.parent.mkdir(parents=True, exist_ok=True)
    unfinished = file.with_name(f".{file.name}.{os.getpid()}")
    with os.fdopen(os.open(unfinished, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, mode), "w", encoding="utf-8") as content:
        content.write(text)
    os.replace(unfinished, file)
