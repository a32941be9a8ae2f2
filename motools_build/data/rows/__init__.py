"""The rules that a dataset's rows must keep, one line of JSON a row."""
