"""A project's folder: its configuration, settings, variables and upkeep, without
doit."""
