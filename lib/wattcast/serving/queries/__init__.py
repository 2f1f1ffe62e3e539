"""What each route reads from the rows in memory or the tables, as plain rows."""
