"""Hours of buildings from files or tables, windows cut from them, and synthetic buildings."""
