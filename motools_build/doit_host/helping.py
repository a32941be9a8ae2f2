"""What the loader and doit's help are to know of a command."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from motools_build.project.variables import PLAN_VARIABLES, RUN_VARIABLES

OPT_HELP = {
    "section": "motools",
    "name": "help",
    "short": "h",
    "long": "help",
    "type": bool,
    "default": False,
    "help": "show this",
}


@dataclass(frozen=True)
class Needs:
    """What a command asks of the loader."""

    tasks: bool = True
    """Whether stages become doit tasks. A command that only looks at plans needs none,
    and is given an empty list."""
    default: bool = True
    """Whether the project's default settings are meant where no word is given."""
    rows: bool = True
    """Whether derived datasets must be there; if not, a remembered digest will do."""
    only_names: bool = False
    """Whether every word is a task's name, and each pattern is replaced by the names
    that it fits, since doit's own command takes none."""
    tells_broken: bool = False
    """Whether the command itself tells of settings that cannot be planned, beside what
    it tells of the others."""


def variables_text(names: Mapping[str, str]) -> str:
    """The section of a help text."""
    lines = [f"    {f'{name}=...':15} {about}" for name, about in names.items()]
    return "\n".join(["", "", "VARIABLES", *lines]) if lines else ""


class Helped:
    """A command whose help names its variables; doit's own class comes after it."""

    variables: Mapping[str, str] = PLAN_VARIABLES

    def help(self) -> str:
        text: str = super().help()  # type: ignore[misc]
        return text + variables_text(self.variables)

    def helped(self, params: Any) -> bool:
        """Whether help was wanted, and is printed now."""
        if params.get("help"):
            print(self.help())
        return bool(params.get("help"))


OF_A_RUN = {**PLAN_VARIABLES, **RUN_VARIABLES}
