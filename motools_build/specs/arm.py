"""Arms: the named groups of datasets that a setting compares."""

from __future__ import annotations

from typing import Annotated, Any

from pydantic import field_validator

from motools_build.spec import Many, Some, Spec, checked_name
from motools_build.specs.dataset import Dataset
from motools_build.specs.training import Training


class Arm(Spec):
    """A named group of datasets: `Arm("inoculated", datasets=[...])`.

    Results are grouped by the name, and it is a tag of all models that the arm trains.
    It is in no key, so arms with equal datasets and trainings share models.
    """

    name: str
    datasets: Annotated[tuple[Dataset, ...], Many, Some]
    training: Annotated[tuple[Training, ...] | None, Many, Some] = None
    """The arm's trainings; None for the setting's."""
    models: Annotated[tuple[str, ...] | None, Many, Some] = None
    """The arm's base models, `backend/model`; None for the setting's."""

    def __init__(self, name: str, **fields: Any) -> None:
        super().__init__(**{"name": name, **fields})

    @field_validator("name")
    @classmethod
    def _is_a_name(cls, name: str) -> str:
        return checked_name(name)
