"""Marks: what a figure or a page shows, by keys, inside its file."""
