"""Launchers, which start workers: their protocol, the launcher for this machine, and
the lookup of other launchers."""

LOCAL = "local"
"""Name of the launcher for this machine, which a project has by default."""
