"""The local calendar and the inputs of the networks."""
