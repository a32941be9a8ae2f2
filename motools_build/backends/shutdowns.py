"""Shutdown dates of providers' models: asked for once a day, and kept in a file."""

from __future__ import annotations

import json
import os
import time
from collections.abc import Mapping
from datetime import UTC, date, datetime
from pathlib import Path
from typing import Any

DAY = 86_400.0


class Shutdowns:
    """`artifacts/shutdowns.json`: for each account when it was asked, and model ->
    date.

    Only a cache: if the file is missing or damaged, the provider is asked again.
    """

    def __init__(self, file: Path) -> None:
        self._file = file
        self._told: dict[str, Any] = {}
        try:
            found = json.loads(file.read_bytes())
        except (OSError, ValueError):
            return
        if isinstance(found, dict):
            self._told = {n: told for n, told in found.items() if _is_told(told)}

    def due(self, account: str) -> bool:
        """Whether the account was not asked in the last 24 hours."""
        told = self._told.get(account)
        return told is None or abs(time.time() - told["asked"]) > DAY

    def note(self, account: str, dates: Mapping[str, str]) -> None:
        """Save the dates (model -> date) that the account's list of models gave now."""
        self._told[account] = {"asked": time.time(), "dates": dict(dates)}
        self._file.parent.mkdir(parents=True, exist_ok=True)
        temporary = self._file.with_suffix(f".{os.getpid()}.tmp")
        temporary.write_text(json.dumps(self._told, indent=1))
        temporary.replace(self._file)

    def of(self, account: str, *names: str) -> date | None:
        """The shutdown date of a model, by the first of its names that has one (a
        fine-tune ends with its base); None if no date is known."""
        dates = self._told.get(account, {"dates": {}})["dates"]
        return next((day for n in names if (day := day_of(dates.get(n)))), None)


def day_of(said: object) -> date | None:
    """The day of an ISO date or of a time in seconds since the epoch (UTC); None for
    anything else."""
    try:
        if isinstance(said, str):
            return date.fromisoformat(said[:10])
        if isinstance(said, int | float) and not isinstance(said, bool) and said > 0:
            return datetime.fromtimestamp(said, UTC).date()
    except (ValueError, OverflowError, OSError):
        pass
    return None


def _is_told(told: object) -> bool:
    return (
        isinstance(told, dict)
        and isinstance(told.get("asked"), int | float)
        and isinstance(told.get("dates"), dict)
    )
