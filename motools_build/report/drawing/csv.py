"""Results as CSV: a row for each cell and metric."""

from __future__ import annotations

import csv
import io
from collections.abc import Iterable

from motools_build.report.table import FLAT, Table


def csv_of(tables: Iterable[Table]) -> str:
    """The flat rows of all tables under one header line. A missing value is an empty
    field."""
    text = io.StringIO()
    writer = csv.DictWriter(text, FLAT, lineterminator="\n")
    writer.writeheader()
    for table in tables:
        writer.writerows(table.flat())
    return text.getvalue()
