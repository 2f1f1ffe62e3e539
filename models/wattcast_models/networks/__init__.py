"""The networks, their calibration and their bias correction."""
