"""Arms: what a setting compares, by name."""

from __future__ import annotations

from typing import Annotated, Any

from pydantic import field_validator

from motools_build.spec import Many, Some, Spec, checked_name
from motools_build.specs.dataset import Dataset
from motools_build.specs.training import Training


class Arm(Spec):
    """`Arm("inoculated", datasets=[...])`: its name groups results, and is a tag of
    all that it trains. Names are in no key: arms that train alike share models."""

    name: str
    datasets: Annotated[tuple[Dataset, ...], Many, Some]
    training: Annotated[tuple[Training, ...] | None, Many, Some] = None
    """The setting's, if not given."""
    models: Annotated[tuple[str, ...] | None, Many, Some] = None
    """The setting's, if not given."""

    def __init__(self, name: str, **fields: Any) -> None:
        super().__init__(**{"name": name, **fields})

    @field_validator("name")
    @classmethod
    def _is_a_name(cls, name: str) -> str:
        return checked_name(name)
