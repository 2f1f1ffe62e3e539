"""The command `check-reading`."""

import json
import sys
from typing import Annotated

import typer

from wattcast.errors import FAILED


def check_reading(
    file: Annotated[str, typer.Argument(help="File with one JSON object, or one per line; - reads standard input.")],
    arrived_at: Annotated[str, typer.Option(help="Time of arrival to assume (ISO 8601, UTC). Default: now.")] = "",
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON.")] = False,
) -> None:
    """Check whether the pipeline would accept readings.

    Prints each rule that a reading breaks; exit 1 if one would be rejected.
    """
    from wattcast.ingest.reading_check import check_file

    records = check_file(file, arrived_at)
    is_accepted = all(record.is_accepted for record in records)
    if as_json:
        report = {"accepted": is_accepted, "records": [record.as_json() for record in records]}
        print(json.dumps(report, indent=2))
    else:
        for record in records:
            print(f"record {record.number}: {'accepted' if record.is_accepted else 'rejected'}")
            for rule, reason in record.broken:
                print(f"  {rule}: {reason}")
    sys.exit(0 if is_accepted else FAILED)
