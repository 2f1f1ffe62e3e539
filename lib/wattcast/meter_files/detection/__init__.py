"""Finds out what the columns of a table mean, with the evidence for each finding."""
