"""The dummy backend: deterministic, free, for tests and rehearsals."""
