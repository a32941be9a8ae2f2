"""Transforms: making datasets from others by choosing, moving or changing rows.

A transform is a class (`step.py`); `table.py` lists all of them. It reads the rows of
files and writes two files: `data.jsonl` with the rows, and `provenance.jsonl` with a
line for each row. The line `{"source": digest, "line": 17, "applied": ["system"]}`
names the file that the row was first read from, its line there, and the transforms that
have changed it since.

A row that no transform changes keeps its bytes, its line end included. Memory holds a
few numbers for each row, never the rows.
"""

from motools_build.data.source import Source
from motools_build.data.transforms.make import made

__all__ = ["Source", "made"]
