"""The buildings for which a model is the champion, and the aliases of scopes in the registry."""

import re
from dataclasses import dataclass
from typing import Literal, Self

Role = Literal["champion", "previous"]

MAX_ALIAS_LENGTH = 255  # MLflow accepts letters, digits, - and _
ESCAPED = re.compile(rb"[^a-z0-9-]")  # capitals too: some databases compare text without case
ALIAS = re.compile(r"(champion|previous)(?:-(site|building)-([a-z0-9_-]+))?")


@dataclass(frozen=True)
class Scope:
    """All buildings, those of one site, or one building."""

    kind: Literal["all", "site", "building"] = "all"
    name: str = ""

    def __str__(self) -> str:
        return "all buildings" if self.kind == "all" else f"{self.kind} {self.name}"

    def alias(self, role: Role) -> str:
        """The alias of a role for this scope, such as champion-site-_4eord_201 for the site `Nord 1`.

        A byte that is not a lower-case letter, digit or - becomes _ and two hex digits. Raises ValueError for a name that MLflow
        does not accept.
        """
        if self.kind == "all":
            return role
        name = ESCAPED.sub(lambda byte: f"_{byte[0][0]:02x}".encode(), self.name.encode()).decode()
        alias = f"{role}-{self.kind}-{name}"
        if not name or len(alias) > MAX_ALIAS_LENGTH:
            raise ValueError(f"The {self.kind} {self.name!r} cannot have a champion: its name is empty or too long.")
        return alias

    @classmethod
    def of(cls, alias: str) -> tuple[Role, Self] | None:
        """The role and the scope of an alias; None for an alias that Wattcast did not set."""
        match = ALIAS.fullmatch(alias)
        if not match:
            return None
        role: Role = "champion" if match[1] == "champion" else "previous"
        if not match[2]:
            return role, cls()
        try:
            name = re.sub(
                rb"_([0-9a-f]{2})", lambda hexed: bytes.fromhex(hexed[1].decode()), match[3].encode()
            ).decode()
        except UnicodeDecodeError:
            return None
        return role, cls("site" if match[2] == "site" else "building", name)


ALL = Scope()
