"""The HTTP routes of the API: parameters in, one response out."""
