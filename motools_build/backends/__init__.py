"""Backends: the code that makes artifacts. They know no store, no plan and no doit."""
