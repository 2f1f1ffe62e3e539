"""Tables on the terminal: what they hold is shown as it is, and nothing of it is cut where no terminal shows it."""

import re
import sys

from rich.console import Console, RenderableType
from rich.text import Text

ENDLESS = 1_000_000  # columns
CONTROL = re.compile(r"[\x00-\x09\x0b-\x1f\x7f-\x9f]")


def plain(value: object) -> Text:
    """A cell: no markup of rich, and characters that would steer the terminal made visible. None is empty."""
    return Text("" if value is None else CONTROL.sub(lambda found: f"\\x{ord(found[0]):02x}", str(value)))


def show(what: RenderableType) -> None:
    """Print it, as wide as the terminal is; as wide as it is itself where it goes into a file or another program."""
    Console(width=None if sys.stdout.isatty() else ENDLESS).print(what)
