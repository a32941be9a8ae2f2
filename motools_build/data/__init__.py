"""Rows and what their lines must be, prompts, the steps that make datasets of others.

Nothing here knows of settings, plans or backends.
"""

DATA = "data.jsonl"
"""File name of the rows of a dataset that is an artifact."""

PROVENANCE = "provenance.jsonl"
"""File name of a line for each of those rows, which says where the row comes from."""
