"""The parts of a cell's name.

This module needs the standard library alone: a bundle holds a copy of it
(`report.bundle`).
"""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from motools_build.planning.plan import Cell


def group_shown(group: tuple[str, str, str, str], with_model: bool = True) -> str:
    """The parts of a group's name (`named_parts`) that say which it is."""
    arm, dataset, model, training = group
    return ", ".join(
        filter(None, (arm, dataset, model if with_model else "", training))
    )


def named_parts(cell: Cell) -> tuple[str, str, str, str]:
    """Arm, dataset, model and training, which all seeds of a model share."""
    return cell.arm, cell.dataset, cell.model, cell.training
