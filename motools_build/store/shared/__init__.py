"""The shared store: a second tier behind a project's folder, for a team."""
