"""Maintenance of the lake: compacts small files, deletes expired rows and vacuums unused files."""

import json
import sys
from collections.abc import Sequence
from dataclasses import asdict

from wattcast.errors import FAILED, exit_on_user_error
from wattcast.lake.maintenance import maintain_table
from wattcast.logs import configure_logging
from wattcast.progress import progress
from wattcast.runtime.context import opened
from wattcast.runtime.options import maintenance_options
from wattcast.terminal.console import show, stdout_to_stderr
from wattcast.terminal.maintenance import maintenance_table


@exit_on_user_error()
def main(argv: Sequence[str] | None = None) -> None:
    options = maintenance_options(argv)
    configure_logging()
    with stdout_to_stderr(), opened(name="maintain", with_broker=False) as run:  # Delta prints from the JVM in a VACUUM
        reports = []
        with progress("maintain", total=len(options.tables)) as update:
            for name in options.tables:
                reports.append(maintain_table(run.lake, name))
                update(len(reports), name)
    if options.json:
        print(json.dumps({"tables": [asdict(report) for report in reports]}, indent=2))
    else:
        show(maintenance_table(reports))
    sys.exit(FAILED if any(report.left_for for report in reports) else 0)


if __name__ == "__main__":
    main()
