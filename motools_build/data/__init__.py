"""Datasets as files: the rules for rows, prompts, and the transforms that make
datasets.

Nothing here knows of settings, plans or backends.
"""

DATA = "data.jsonl"
"""File name of the rows of a dataset that is an artifact."""

PROVENANCE = "provenance.jsonl"
"""File name beside it, with a line for each row that says where the row comes from."""
