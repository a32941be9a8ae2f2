"""make for LLM fine-tuning experiments: what a module of zoo/ imports, and
`open_project()` for notebooks and scripts.

The public names are loaded on first use, so that importing the package costs nothing.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from motools_build.api import open_project
    from motools_build.backends.command.facts import Command
    from motools_build.backends.embedded.facts import LoRA
    from motools_build.backends.local.facts import Local
    from motools_build.backends.openai.options import OpenAI
    from motools_build.specs import (
        Arm,
        Contrast,
        Dataset,
        Eval,
        Setting,
        Teacher,
        Training,
    )

__version__ = "0.1.0"
__all__ = [
    "Arm",
    "Command",
    "Contrast",
    "Dataset",
    "Eval",
    "LoRA",
    "Local",
    "OpenAI",
    "Setting",
    "Teacher",
    "Training",
    "open_project",
]

_OPTIONS = {
    "Command": "motools_build.backends.command.facts",
    "LoRA": "motools_build.backends.embedded.facts",
    "Local": "motools_build.backends.local.facts",
    "OpenAI": "motools_build.backends.openai.options",
}
"""Option class of a backend -> the module that defines it."""


def __getattr__(name: str) -> Any:
    if name == "open_project":
        from motools_build.api import open_project

        return open_project
    if name in __all__:
        from importlib import import_module

        module = _OPTIONS.get(name, "motools_build.specs")
        return getattr(import_module(module), name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
