"""Executors, which have the heavy work of stages done: on this machine, or by a
cluster."""

HERE = "here"
"""Name of the executor for this machine, which a project has by default."""

SLURM = "slurm"

RAY = "ray"

CLUSTERS = (SLURM, RAY)

EXECUTORS = (HERE, *CLUSTERS)
"""Values of the variable `executor`."""
