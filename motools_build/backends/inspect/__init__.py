"""Runs evals, samples and lessons with Inspect AI, in a worker."""
