"""The hours of a building in the newest version of the table: python read_deltalake.py .wattcast/lake sim_0001"""

import sys

import pyarrow as pa
import pyarrow.dataset as ds
from deltalake import DeltaTable


def hours(lake: str, building: str) -> pa.Table:
    """Every revision, oldest first; reads only the columns and files that it needs."""
    table = DeltaTable(f"{lake}/hourly_usage").to_pyarrow_dataset()
    columns = ["hour", "revision", "available_at", "energy_usage_kwh", "coverage"]
    revisions = table.to_table(columns, filter=ds.field("building_id") == building)
    return revisions.sort_by([("hour", "ascending"), ("available_at", "ascending")])


if __name__ == "__main__":
    print(hours(*sys.argv[1:]).slice(length=5).to_pandas().to_string())
