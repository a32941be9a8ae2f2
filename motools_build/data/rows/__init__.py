"""The rules for a dataset's rows; a row is one line of JSON."""
