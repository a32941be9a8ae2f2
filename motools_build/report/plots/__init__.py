"""Plots of results: for a page, which follows its colours, and for a paper."""
