"""Which hours a batch of readings touches, when hours close, and the revisions that follow."""
