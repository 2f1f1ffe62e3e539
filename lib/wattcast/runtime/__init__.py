"""How a Spark job runs: options, session, context, start, supervision, progress and graceful stop."""
