"""Forecasts on readings that a client posts, by the methods and the model of the forecast job."""
