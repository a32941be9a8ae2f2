"""Scorers, judges and question files for Inspect, each in a module of its own."""
