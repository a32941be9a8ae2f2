"""The rules for a dataset's rows. A row is one line of JSON."""
