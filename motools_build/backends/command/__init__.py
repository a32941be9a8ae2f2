"""Models that a command of the user's own trains."""
