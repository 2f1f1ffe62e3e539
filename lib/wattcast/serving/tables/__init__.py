"""The Delta tables as the API reads them: pinned versions, and a snapshot of the latest rows in memory."""
