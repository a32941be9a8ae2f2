"""Results: what is up to date, and what is stale, missing or failed, shown as such."""
