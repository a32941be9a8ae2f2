"""Locks: a setting's results with their keys, in a file that is committed."""
