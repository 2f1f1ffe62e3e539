"""All streaming jobs in one application: a laptop's, or a small site's."""

from aggregate import AGGREGATE
from forecast import FORECAST
from ingest import INGEST
from publish import PUBLISH
from score import SCORE
from wattcast.job import run

if __name__ == "__main__":
    run(INGEST, AGGREGATE, FORECAST, PUBLISH, SCORE)
