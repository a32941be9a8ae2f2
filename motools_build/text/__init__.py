"""Text for people: secrets removed, control characters made visible, commands to
paste."""
