"""Evals, samples and lessons, by Inspect AI in a worker."""
