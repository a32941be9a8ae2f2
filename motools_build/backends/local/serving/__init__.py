"""Answers by servers of vLLM, which runs start and share, or which are there."""
