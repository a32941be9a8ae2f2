"""Text for people: secrets taken out, control characters shown, hints that paste."""
