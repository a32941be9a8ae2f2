"""A project's folder: its configuration, settings, variables and upkeep. No doit."""
