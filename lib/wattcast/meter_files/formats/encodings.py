"""The encoding of a text file."""

import codecs
import gzip
from pathlib import Path
from typing import IO, cast

from charset_normalizer import from_bytes

from wattcast.meter_files.mapping import Evidence
from wattcast.meter_files.refusals import Ambiguous, FileRefused

BYTES_AT_ONCE = 1 << 20
MARKS = ((codecs.BOM_UTF8, "utf-8-sig"), (codecs.BOM_UTF16_LE, "utf-16"), (codecs.BOM_UTF16_BE, "utf-16"))
MIN_ZERO_SHARE = 0.5
CANDIDATES = ["cp1252", "cp1250", "utf_16_le", "utf_16_be"]


def open_binary(file: Path) -> IO[bytes]:
    """The bytes of a file, unpacked if its name ends with .gz.

    Raises:
        FileRefused: it cannot be opened.
    """
    try:
        is_packed = file.suffix.lower() == ".gz"
        return cast(IO[bytes], gzip.open(file) if is_packed else file.open("rb"))
    except OSError as error:
        raise FileRefused(f"{file} cannot be read: {error.strerror or error}") from error


def encoding_of(file: Path) -> Evidence:
    """The encoding of a text file, by its byte order mark, as UTF-8 where all of it is valid, else by its letters.

    Raises:
        FileRefused: the file is empty, or cannot be read.
        Ambiguous: its letters fit no common encoding.
    """
    with open_binary(file) as content:
        head = _read(content, file)
        if not head.strip():
            raise FileRefused(f"{file} cannot be read: it is empty.")
        for mark, name in MARKS:
            if head.startswith(mark):
                return Evidence("encoding", name, "its byte order mark")
        if b"\0" in head[:4096]:
            return _without_mark(head[:4096], file)
        decoder, block = codecs.getincrementaldecoder("utf-8")(), head
        try:
            while block:
                decoder.decode(block)
                block = _read(content, file)
            decoder.decode(b"", final=True)
        except UnicodeDecodeError:
            return _by_letters(block, file)
    return Evidence("encoding", "utf-8", "all of the file is valid")


def _without_mark(head: bytes, file: Path) -> Evidence:
    """UTF-16 where about every second byte is zero, as in Western texts."""
    for first, name in ((1, "utf-16-le"), (0, "utf-16-be")):
        zeros = head[first::2]
        if zeros.count(0) > MIN_ZERO_SHARE * len(zeros):
            return Evidence("encoding", name, "about every second byte is zero")
    raise FileRefused(f"{file} cannot be read: it is not text.")


def _by_letters(block: bytes, file: Path) -> Evidence:
    best = from_bytes(block[:65_536], cp_isolation=CANDIDATES).best()
    if best is None or best.encoding.startswith("utf_16"):
        raise Ambiguous(
            f"{file.name} cannot be read as UTF-8, nor in a common encoding.", "encoding", option="--encoding NAME"
        )
    return Evidence("encoding", best.encoding, "it is not UTF-8, and its letters fit")


def _read(content: IO[bytes], file: Path) -> bytes:
    try:
        return content.read(BYTES_AT_ONCE)
    except (OSError, EOFError) as error:
        raise FileRefused(f"{file} cannot be read: {error}") from error
