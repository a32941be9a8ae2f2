"""Slurm's commands as programs of the tests."""
