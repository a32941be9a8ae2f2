"""Inspect's entry point: the model provider `motools/<stage name or key prefix>`.

Inspect imports every entry point before its first model, so this module imports
nothing but the decorator.
"""

from __future__ import annotations

from typing import Any

from inspect_ai.model import modelapi


@modelapi(name="motools")
def motools() -> Any:
    """The class of the provider, imported when a `motools/` model is first used."""
    from motools_build.serving.models import MotoolsAPI

    return MotoolsAPI
