"""`wattcast demo`: the pipeline on one machine, from the first reading to a consumed forecast, checked and reported."""
