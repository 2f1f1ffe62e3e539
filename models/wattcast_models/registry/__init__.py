"""Versions of models: the registry, the gate, promotion, and the champions by scope."""
