"""Bundles: a setting's lock with all that its numbers follow from, in one archive."""
