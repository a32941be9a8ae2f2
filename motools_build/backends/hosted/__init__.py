"""Models that a provider of Inspect serves, and that are only asked, not trained."""
