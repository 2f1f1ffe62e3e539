"""`wattcast check-reading` prints whether each record would be accepted."""

import json
from pathlib import Path

from pyspark.sql import SparkSession
from tests.commands import Wattcast
from tests.jobs.test_ingest import RIGHT, WRONG, message
from tests.lib.monitoring.measures.test_device_status import lake

from wattcast.ingest.rejection_reasons import MAX_FILE_BYTES

LINES = {
    name: (payload, rules)
    for name, (payload, rules) in WRONG.items()
    if payload and len(payload.split()) and b"\n" not in payload
}


def test_each_line_is_checked_and_one_rejected_record_fails(
    shared_spark: SparkSession, wattcast: Wattcast, tmp_path: Path
) -> None:
    lines = [*(payload for payload, _ in LINES.values()), *RIGHT.values()]
    file = tmp_path / "readings.jsonl"
    file.write_bytes(b"\n".join(lines))
    lake(tmp_path / "lake", [], buildings=[])
    options = ("--arrived-at", "2026-03-01T10:01Z", "--json")
    result = wattcast("check-reading", str(file), *options, WATTCAST_STATE=str(tmp_path))
    assert result.status == 1, result.err
    rules = [[broken["rule"] for broken in record["broken"]] for record in json.loads(result.out)["records"]]
    expected = [*(rules for _, rules in LINES.values()), *([] for _ in RIGHT)]
    expected[lines.index(RIGHT["solar"])] = ["energy_usage_kwh.negative"]  # this lake has no metadata that allow it
    assert rules == expected


def test_piped_object_over_several_lines_is_one_accepted_record(wattcast_process: Wattcast, tmp_path: Path) -> None:
    pretty = json.dumps(json.loads(message()), indent=2)
    result = wattcast_process("check-reading", "-", piped=pretty, WATTCAST_STATE=str(tmp_path))
    assert (result.status, result.out) == (0, "record 1: accepted\n"), result.err


def test_input_that_cannot_be_checked_is_refused_in_one_line(wattcast: Wattcast, tmp_path: Path) -> None:
    huge = tmp_path / "huge"
    with huge.open("wb") as file:
        file.truncate(MAX_FILE_BYTES + 1)
    refusals = {
        (str(tmp_path / "nowhere"),): "cannot be read: No such file or directory.",
        (str(tmp_path),): "cannot be read: Is a directory.",
        (str(huge),): "is larger than 32 MiB: check a part of it.",
        ("-", "--arrived-at", "noon"): "noon is not a time in ISO 8601",
        ("-", "--arrived-at", "9999-12-31T23:00-10:00"): "does not lie in the years 1970 to 2199",
    }
    for arguments, sentence in refusals.items():
        result = wattcast("check-reading", *arguments, WATTCAST_STATE=str(tmp_path))
        assert result.status == 2
        assert sentence in result.line
