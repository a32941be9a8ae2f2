"""Writing rows to a JSONL file."""

from __future__ import annotations

import json
import os
from collections.abc import Iterable
from pathlib import Path
from typing import Any

from motools_build.errors import DatasetError


def save_rows(rows: Iterable[dict[str, Any]], path: str) -> None:
    """Write rows to a file atomically. Raises DatasetError for a row that cannot be
    written as JSON; the file is then left as it was."""
    file = Path(path)
    file.parent.mkdir(parents=True, exist_ok=True)
    temporary = file.with_name(f".{file.name}.{os.getpid()}.tmp")
    try:
        with open(temporary, "w", encoding="utf-8", newline="\n") as out:
            for number, row in enumerate(rows, 1):
                try:
                    line = json.dumps(row, ensure_ascii=False, allow_nan=False)
                    out.write(line + "\n")
                except (TypeError, ValueError) as error:
                    raise DatasetError(
                        f"{path}: row {number} cannot be written as JSON "
                        f"({error}); the file was left as it was"
                    ) from error
            out.flush()
            os.fsync(out.fileno())
        temporary.replace(file)
    finally:
        temporary.unlink(missing_ok=True)
