"""The Delta tables: reads, appends, streams, views, locks, maintenance and the SQL gateway."""
