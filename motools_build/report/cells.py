"""The parts of a cell's name.

This module needs the standard library alone: a bundle holds a copy of it
(`report.bundle`).
"""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from motools_build.planning.plan import Cell


def named_parts(cell: Cell) -> tuple[str, str, str, str]:
    """Arm, dataset, model and training, which all seeds of a model share."""
    return cell.arm, cell.dataset, cell.model, cell.training
