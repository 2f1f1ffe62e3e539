"""The accuracy of the forecasts of each building, by DuckDB: python read_duckdb.py .wattcast/lake"""

import sys

import duckdb
from deltalake import DeltaTable

ACCURACY = """
    WITH latest AS (
        SELECT * FROM scores WHERE purpose = 'live'
        QUALIFY row_number() OVER (PARTITION BY forecast_id, lead_hours ORDER BY available_at DESC) = 1)
    SELECT building_id, count(*) AS hours, avg(abs(error_kwh)) AS mae_kwh,
           avg(abs(last_week_kwh - actual_kwh)) AS last_week_mae_kwh
    FROM latest GROUP BY building_id ORDER BY building_id"""


def accuracy(lake: str) -> list[tuple]:
    scores = DeltaTable(f"{lake}/forecast_scores").to_pyarrow_dataset()
    return duckdb.connect().register("scores", scores).sql(ACCURACY).fetchall()


if __name__ == "__main__":
    print(*accuracy(*sys.argv[1:]), sep="\n")
