"""What the judge reports."""

import math
from collections import Counter
from collections.abc import Iterable
from datetime import datetime
from typing import Literal, NamedTuple

Kind = Literal["lost", "doubled", "wrong"]


class Finding(NamedTuple):
    """`lost`: something that must be there is not; `doubled`: it is there twice; `wrong`: it has other contents, or must not
    be there."""

    kind: Kind
    what: str
    where: str


def doubled(what: str, keys: Iterable[tuple[object, ...]]) -> list[Finding]:
    """A finding for each key that occurs more than once."""
    counts = Counter(keys)
    return [Finding("doubled", what, f"{shown(key)}: {count} rows") for key, count in counts.items() if count > 1]


def differences(what: str, where: str, actual: dict[str, object], expected: dict[str, object]) -> list[Finding]:
    """A finding for each name whose value is not the expected one."""
    return [
        Finding("wrong", what, f"{where}: {name} is {shown(actual.get(name))}, expected {shown(value)}")
        for name, value in expected.items()
        if not is_same(actual.get(name), value)
    ]


def is_same(actual: object, expected: object) -> bool:
    """Whether two values are equal; numbers may differ by what a sum of floats loses."""
    if isinstance(expected, float) and isinstance(actual, int | float):
        return math.isclose(actual, expected, rel_tol=1e-9, abs_tol=1e-9)
    return actual == expected


def shown(value: object) -> str:
    """A value in a finding: short, and the same on each machine."""
    if isinstance(value, tuple):
        return " ".join(shown(part) for part in value)
    return value.isoformat() if isinstance(value, datetime) else str(value)[:200]
