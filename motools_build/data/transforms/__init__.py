"""Datasets made of others: rows are chosen, moved or changed, one step at a time.

`make` reads files and writes two: `data.jsonl`, and `provenance.jsonl` with a line for
each row, `{"source": digest, "line": 17, "applied": ["system"]}`: the file that the row
comes from in the end, its line there, and the steps that changed it on the way.

A row that no step changes keeps its bytes, its line end included. Memory holds a few
numbers a row, never the rows.
"""

from motools_build.data.source import Source
from motools_build.data.transforms.make import made

__all__ = ["Source", "made"]
