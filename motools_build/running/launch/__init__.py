"""Launchers, which start workers: their protocol, the launcher for this machine, and
the lookup of other launchers."""
