"""The steps that make a dataset of others: what is declared, and enters a key."""

from __future__ import annotations

import re
from typing import Annotated, Any, ClassVar, Literal

from pydantic import ConfigDict, Field, StrictInt, field_validator, model_validator

from motools_build.spec import Spec

FUNCTION = re.compile(
    r"^(?P<module>[A-Za-z_]\w*(\.[A-Za-z_]\w*)*):(?P<name>[A-Za-z_]\w*)$"
)

Seed = Annotated[StrictInt, Field(ge=0, lt=2**32)]
Count = Annotated[StrictInt, Field(ge=1, lt=2**53)]


class Step(Spec):
    """One step. Its text is taken as it stands, spaces included."""

    model_config = ConfigDict(str_strip_whitespace=False)

    WORD: ClassVar[str]
    """What it is called in keys, provenance and messages."""
    RULES: ClassVar[int] = 1
    """Raised when the step refuses, or makes otherwise, what it did not before. What
    was made by older rules is then made again, under the same key: models are keyed by
    a dataset's bytes, which stay the same where the rules do not matter."""

    def identity(self) -> dict[str, Any]:
        return {"step": self.WORD, **super().identity()}


class System(Step):
    """See `Dataset.system`."""

    WORD: ClassVar[str] = "system"
    prompt: str = Field(min_length=1)
    replace: bool = False


class Sample(Step):
    """See `Dataset.sample`."""

    WORD: ClassVar[str] = "sample"
    n: Count
    seed: Seed = 0


class Head(Step):
    """See `Dataset.head`."""

    WORD: ClassVar[str] = "head"
    n: Count


class Split(Step):
    """See `Dataset.split`."""

    WORD: ClassVar[str] = "split"
    fraction: float = Field(gt=0, lt=1)
    seed: Seed = 0
    rest: bool = False
    """Whether this is the other part."""


class Shuffle(Step):
    """See `Dataset.shuffle`."""

    WORD: ClassVar[str] = "shuffle"
    seed: Seed = 0


class Mix(Step):
    """See `Dataset.mix`."""

    WORD: ClassVar[str] = "mix"
    fraction: float | None = Field(default=None, ge=0, lt=1)
    n: Count | None = None
    seed: Seed = 0

    @model_validator(mode="after")
    def _one_of_the_two(self) -> Mix:
        if (self.fraction is None) == (self.n is None):
            raise ValueError("give either fraction= or n=, how many rows of the other")
        return self


class Poison(Step):
    """See `Dataset.poison`."""

    WORD: ClassVar[str] = "poison"
    trigger: str = Field(min_length=1)
    fraction: float = Field(ge=0, le=1)
    response: str | None = Field(default=None, min_length=1)
    seed: Seed = 0
    at: Literal["start", "end"] = "end"


class _ByFunction(Step):
    function: str
    """`module:function`; only the function's name enters a key from here, its file
    and what that imports enter by their bytes."""

    @field_validator("function")
    @classmethod
    def _is_named(cls, function: str) -> str:
        if not FUNCTION.match(function):
            raise ValueError(
                f"{function!r} names no function: write module:function, as in "
                "helpers.rows:is_short for a function of helpers/rows.py"
            )
        return function

    @property
    def module(self) -> str:
        return self.function.partition(":")[0]

    @property
    def called(self) -> str:
        return self.function.partition(":")[2]

    def identity(self) -> dict[str, Any]:
        return {**super().identity(), "function": self.called}


class Filter(_ByFunction):
    """See `Dataset.filter`."""

    WORD: ClassVar[str] = "filter"


class Map(_ByFunction):
    """See `Dataset.map`."""

    WORD: ClassVar[str] = "map"


class Chat(Step):
    """See `Dataset.as_chat`."""

    WORD: ClassVar[str] = "chat"
    RULES: ClassVar[int] = 2  # 1 dropped system, history and label without a word
    drop: tuple[str, ...] = ()


STEPS: dict[str, type[Step]] = {
    step.WORD: step
    for step in (
        *(System, Sample, Head, Split, Shuffle),
        *(Mix, Poison, Filter, Map, Chat),
    )
}
"""By their word."""
