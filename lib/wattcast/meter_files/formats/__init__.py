"""One module per file format: each opens a file as a `Table` of rows whose meaning is not yet known."""
