"""Files that are written atomically."""

import os
from pathlib import Path


def write_atomically(file: Path, content: bytes) -> None:
    """Write a file so that a reader sees either its previous content or all of the new content, never a part. Missing folders are
    created.

    The content goes into a hidden file of this process in the same folder, which is then renamed: processes may write at
    once, and the last one wins. A process that is killed in between leaves its hidden file behind.
    """
    file.parent.mkdir(parents=True, exist_ok=True)
    unfinished = file.with_name(f".{file.name}.{os.getpid()}")
    unfinished.write_bytes(content)
    os.replace(unfinished, file)
