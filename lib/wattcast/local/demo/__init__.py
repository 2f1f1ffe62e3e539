"""The main job on one laptop, from the first reading to a consumed forecast, judged and reported."""
