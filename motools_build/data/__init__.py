"""Datasets as files: the rules for rows, prompts, and the transforms that make
datasets.

Nothing here knows of settings, plans or backends.
"""

DATA = "data.jsonl"
"""File name of the rows in a dataset's artifact."""

PROVENANCE = "provenance.jsonl"
"""File name beside `DATA`: for each row, a line that says where the row comes from."""
