"""Which buildings a client of the API may see."""

from dataclasses import dataclass


@dataclass(frozen=True)
class BuildingAccess:
    """Some buildings by id, and all buildings of some sites; every building where neither is set."""

    buildings: tuple[str, ...] = ()
    sites: tuple[str, ...] = ()

    @property
    def is_restricted(self) -> bool:
        return bool(self.buildings or self.sites)

    def __str__(self) -> str:
        parts = {"buildings": self.buildings, "sites": self.sites}
        return " ".join(f"{name}={','.join(values)}" for name, values in parts.items() if values) or "all buildings"


ALL_BUILDINGS = BuildingAccess()
