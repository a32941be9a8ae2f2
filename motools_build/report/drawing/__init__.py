"""The report's data as text for a terminal, by rich. Nothing is computed here."""
