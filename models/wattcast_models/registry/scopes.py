"""For which buildings a model is the champion, and the aliases that say so in the registry."""

import re
from dataclasses import dataclass
from typing import Literal, Self

Role = Literal["champion", "previous"]

LONGEST_ALIAS = 255  # MLflow takes letters, digits, - and _, and so many of them
ESCAPED = re.compile(rb"[^a-z0-9-]")  # capitals too: some databases do not tell them from small letters
ALIAS = re.compile(r"(champion|previous)(?:-(site|building)-([a-z0-9_-]+))?")


@dataclass(frozen=True)
class Scope:
    """All buildings, those of one site, or one building."""

    kind: Literal["all", "site", "building"] = "all"
    name: str = ""

    def __str__(self) -> str:
        return "all buildings" if self.kind == "all" else f"{self.kind} {self.name}"

    def alias(self, role: Role) -> str:
        """Of site `Nord 1` it is champion-site-_4eord_201: a byte that is no small letter, digit or - is written as _ and
        two hex digits. Raises ValueError where MLflow would not take it."""
        if self.kind == "all":
            return role
        name = ESCAPED.sub(lambda byte: f"_{byte[0][0]:02x}".encode(), self.name.encode()).decode()
        alias = f"{role}-{self.kind}-{name}"
        if not name or len(alias) > LONGEST_ALIAS:
            raise ValueError(f"The {self.kind} {self.name!r} cannot have a champion: its name is empty or too long.")
        return alias

    @classmethod
    def of(cls, alias: str) -> tuple[Role, Self] | None:
        """The role and the scope of an alias; None for one that somebody else gave."""
        found = ALIAS.fullmatch(alias)
        if not found:
            return None
        role: Role = "champion" if found[1] == "champion" else "previous"
        if not found[2]:
            return role, cls()
        try:
            name = re.sub(
                rb"_([0-9a-f]{2})", lambda hexed: bytes.fromhex(hexed[1].decode()), found[3].encode()
            ).decode()
        except UnicodeDecodeError:
            return None
        return role, cls("site" if found[2] == "site" else "building", name)


ALL = Scope()
