"""The judgement over a run: recomputed from the topics, without any code of the platform."""

from collections import Counter
from dataclasses import dataclass

from tests.chaos.judge.evidence import Evidence
from tests.chaos.judge.findings import Finding, Kind
from tests.chaos.judge.forecasts import forecast_findings
from tests.chaos.judge.hours import expected_revisions, hour_findings
from tests.chaos.judge.ledger import ledger_findings
from tests.chaos.judge.messages import message_findings


@dataclass(frozen=True)
class Verdict:
    """What was compared, and what was found."""

    compared: dict[str, int]
    findings: list[Finding]

    def count(self, kind: Kind) -> int:
        return sum(finding.kind == kind for finding in self.findings)


def verdict(evidence: Evidence) -> Verdict:
    """Compare the ledger, the hours, the forecasts and the messages with what they must be."""
    revisions = expected_revisions(evidence)
    findings = [
        *ledger_findings(evidence),
        *hour_findings(evidence, revisions),
        *forecast_findings(evidence, revisions),
        *message_findings(evidence),
    ]
    purposes = Counter(row["purpose"] == "live" for row in evidence.forecasts)
    compared = {
        "records": len(evidence.records),
        "rejected records": sum(not row["accepted"] for row in evidence.ledger),
        "hours": len({(revision.building_id, revision.hour) for revision in revisions}),
        "revisions": len(revisions),
        "forecasts": purposes[True],
        "forecasts of backfills": purposes[False],
        "messages": len(evidence.messages),
    }
    return Verdict(compared, findings)
