"""API keys, the outermost middleware, and limits on connections, rates and concurrent requests."""
