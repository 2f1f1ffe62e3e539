"""How a model is trained, by one process or several, and tuned."""
