"""The table at the end of a run of chaos."""

from collections import Counter

from tests.chaos.injection import Tally
from tests.chaos.judge.verdict import Verdict
from tests.chaos.moments import MOMENTS

MAX_EXAMPLES = 5  # of each kind of finding


def report(result: Verdict, tally: Tally) -> str:
    """Faults by kind, what was compared, and what was found, with examples."""
    rows: list[tuple[str, object]] = [*sorted(tally.faults.items())]
    rows.append(("moments of a batch that were hit", f"{len(tally.moments)} of {len(MOMENTS)}"))
    rows.append(("ends of the pipeline without a fault", tally.unexpected_ends))
    rows += result.compared.items()
    kinds = Counter((finding.kind, finding.what) for finding in result.findings)
    rows += [(kind, result.count(kind)) for kind in ("lost", "doubled", "wrong")]
    lines = [f"{name:38} {value:>8}" for name, value in rows]
    for (kind, what), count in sorted(kinds.items()):
        lines.append(f"\n{kind} {what}: {count}")
        of_kind = [finding for finding in result.findings if (finding.kind, finding.what) == (kind, what)]
        lines += [f"  {finding.where}" for finding in of_kind[:MAX_EXAMPLES]]
    return "\n".join(lines)
