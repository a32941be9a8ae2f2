"""What becomes of a run's events: lines, the live display, JSON, messages, trackers."""
