"""Grids: one spec for each combination of field values."""

from __future__ import annotations

import itertools
import math
import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any, Self, TypeVar

from pydantic import model_validator

from motools_build.errors import SettingError
from motools_build.spec import MOST, Spec

Axis = (list, tuple, range, set, frozenset)


class Gridded(Spec):
    """A spec without list fields, so that a list always means a grid."""

    @model_validator(mode="before")
    @classmethod
    def _is_no_grid(cls, fields: Any) -> Any:
        for name, value in fields.items() if isinstance(fields, dict) else ():
            cls._refuse_grid(name, value)
        return fields

    @classmethod
    def _refuse_grid(cls, name: str, value: Any) -> None:
        if isinstance(value, Axis):
            raise ValueError(
                f"{name}: it is one value, not {value!r}; for a model of each "
                f"write {cls.__name__}.grid({name}=[...])"
            )

    @classmethod
    def grid(cls, **fields: Any) -> tuple[Self, ...]:
        """One spec for each combination of values. The last field varies fastest.

        `Training.grid(epochs=[1, 3], batch_size=8)` returns two specs. A nested spec is
        given as a grid of its own: `Training.grid(embedded=LoRA.grid(rank=[4, 8]))`.

        Raises SettingError for an empty list, and for too many combinations.
        """
        axes = []
        sizes = [len(v) for v in fields.values() if isinstance(v, Axis)]
        if math.prod(sizes) > MOST:
            raise SettingError(
                f"{cls.__name__}.grid: {math.prod(sizes):,} combinations are too many; "
                f"give {MOST:,} at most"
            )
        for name, value in fields.items():
            values = list(value) if isinstance(value, Axis) else [value]
            if not values:
                raise SettingError(
                    f"{cls.__name__}.grid: {name}: the list is empty, so that nothing "
                    "would be trained; give it a value, or leave the field out"
                )
            axes.append([(name, one) for one in values])
        return tuple(cls(**dict(point)) for point in itertools.product(*axes))

    def written_out(self, others: Iterable[Gridded]) -> dict[str, Any]:
        """All fields with their values, defaults included, for comparison with the
        other specs of a grid."""
        return self.model_dump(mode="json")


G = TypeVar("G", bound=Gridded)


def labels(specs: Sequence[G]) -> dict[G, str]:
    """Spec -> label for stage names, made of the fields whose values differ:
    `epochs3-rank8`. A single spec has an empty label. Raises SettingError if two specs
    get the same label."""
    flat = {spec: dict(_flat(spec.written_out(specs))) for spec in specs}
    names = dict.fromkeys(name for values in flat.values() for name in values)
    first = next(iter(flat.values()), {})
    varying = [n for n in names if any(v.get(n) != first.get(n) for v in flat.values())]
    found = {
        spec: "-".join(_word(name, values[name]) for name in varying if name in values)
        for spec, values in flat.items()
    }
    by_label: dict[str, G] = {}
    for spec, label in found.items():
        other = by_label.setdefault(label, spec)
        if other != spec:
            raise SettingError(
                f"training: two trainings would both be called {label!r}; give them "
                "values that differ in letters and digits"
            )
    return found


def _flat(fields: Mapping[str, Any], path: str = "") -> Iterator[tuple[str, Any]]:
    """Dotted path and value of every field of nested mappings."""
    for name, value in fields.items():
        if isinstance(value, Mapping):
            yield from _flat(value, f"{path}{name}.")
        else:
            yield path + name, value


def _word(path: str, value: Any) -> str:
    """A field and its value as a word: `epochs3`, `learning_rate0.0002`, `methoddpo`.
    There is no `=` between them because doit refuses it in task names."""
    text = str(value).removesuffix(".0") if isinstance(value, float) else str(value)
    return path.rsplit(".", 1)[-1] + re.sub(r"[^A-Za-z0-9_.-]+", "-", text)
