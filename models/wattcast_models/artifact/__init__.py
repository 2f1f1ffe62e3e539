"""Model artifacts: files on disk, a predictor that can be pickled, and the model card."""
