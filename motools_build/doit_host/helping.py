"""`doit CMD --help`: doit's own help, and what `name=value` may be."""

from __future__ import annotations

from collections.abc import Mapping
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
