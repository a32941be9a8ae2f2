"""Formats the report's data as text for a terminal, with rich, and as CSV. No results
are computed here."""
