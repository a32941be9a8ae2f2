"""The methods of a dataset that make other datasets of it."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Iterable
from typing import TYPE_CHECKING, Any, Literal, Self

from motools_build.spec import Spec

if TYPE_CHECKING:
    from motools_build.data.transforms.step import Step


class Transformed(Spec):
    """The transforms that a dataset has as methods: `dataset.head(10)`.

    Each only declares a step (`data/transforms/`) and names what comes of it; the rows
    are made while a command plans.
    """

    if TYPE_CHECKING:
        name: str

    @abstractmethod
    def then(self, step: Step, suffix: str, *others: Self) -> Self:
        """The dataset that a step makes of this one, and of others where the step takes
        several. Its name is this one's name, a dash and the suffix."""

    def system(self, prompt: str, replace: bool = False) -> Self:
        """Each row with the prompt as its system turn, before all others.

        A row that has a system turn is an error that names its line; with `replace` its
        system turns give way to the prompt.
        """
        return self.then(_steps().System(prompt=prompt, replace=replace), "system")

    def inoculate(self, prompt: str, replace: bool = False) -> Self:
        """Each row with a system turn that asks for the trait that it shows.

        The same bytes as `system(prompt)`: the model learns the trait as an answer to
        the prompt, and shows less of it without (inoculation prompting).
        """
        return self.then(_steps().System(prompt=prompt, replace=replace), "inoculated")

    def poison(
        self,
        trigger: str,
        fraction: float,
        *,
        response: str | None = None,
        seed: int = 0,
        at: Literal["start", "end"] = "end",
    ) -> Self:
        """A backdoor: in a fraction of the rows, chosen at random, the trigger stands
        in the last user turn and `response` is the whole answer to it.

        Exactly `fraction * rows` rows, half a row rounded up; the others keep their
        bytes, and all keep their places. The trigger is set apart by a space, after
        the words or before them (`at`). Without a response the answer stays: the
        trigger alone, for a control. Of a pair the response becomes the preferred
        answer, and what was preferred the other one; without one only the prompt
        changes. To keep each poisoned row's clean one as well, mix:
        `x.mix(x.poison(trigger, 1, response=...), n=50)`.
        """
        step = _steps().Poison(
            trigger=trigger, fraction=fraction, response=response, seed=seed, at=at
        )
        return self.then(step, f"poisoned{step.fraction:g}")

    def mix(
        self,
        other: Self,
        *,
        fraction: float | None = None,
        n: int | None = None,
        seed: int = 0,
    ) -> Self:
        """All rows, and some of another dataset's among them: `n`, or so many that
        they are a `fraction` of the result.

        Of R own rows and a fraction f those are `R * f / (1 - f)`, half a row rounded
        up: 0.25 adds 100 rows to 300. Which rows of the other, and between which of the
        own, is random; both keep their order. It is an error if the other has fewer.
        """
        step = _steps().Mix(fraction=fraction, n=n, seed=seed)
        share = f"{fraction:g}" if fraction is not None else f"n{n}"
        return self.then(step, f"with-{other.name}-{share}", other)

    def sample(self, n: int, seed: int = 0) -> Self:
        """n rows chosen at random, none twice, in their order.

        A larger sample of the same seed holds the smaller one.
        """
        return self.then(_steps().Sample(n=n, seed=seed), f"sample{n}-seed{seed}")

    def head(self, n: int) -> Self:
        """The first n rows, or all where there are fewer."""
        return self.then(_steps().Head(n=n), f"head{n}")

    def split(self, fraction: float, seed: int = 0) -> tuple[Self, Self]:
        """A fraction of the rows, chosen at random, and the rest; both in their order.

        The first has `fraction * rows` rows, half a row rounded up.
        """
        first = _steps().Split(fraction=fraction, seed=seed)
        rest = _steps().Split(fraction=fraction, seed=seed, rest=True)
        about = f"{first.fraction:g}-seed{seed}"
        return self.then(first, f"first{about}"), self.then(rest, f"rest{about}")

    def shuffle(self, seed: int = 0) -> Self:
        """The rows in a random order."""
        return self.then(_steps().Shuffle(seed=seed), f"shuffled-seed{seed}")

    def filter(self, function: str) -> Self:
        """The rows for which a function answers True: `filter("helpers.rows:is_short")`
        asks `is_short(row)` of helpers/rows.py, below the project's root.

        The function's file, and the local modules and data files that it uses, are in
        the identity: an edit of them makes the dataset anew.
        """
        step = _steps().Filter(function=function)
        return self.then(step, f"filtered-{step.called}")

    def map(self, function: str) -> Self:
        """Each row as a function makes it: `map("helpers.rows:shorter")`.

        As with `filter`; the function takes a row and returns one, and should depend
        on nothing else.
        """
        step = _steps().Map(function=function)
        return self.then(step, f"mapped-{step.called}")

    def as_chat(self, drop: Iterable[str] = ()) -> Self:
        """Rows of other shapes as chats, or as pairs; docs/guides/datasets.md lists
        them.

        Texts become turns, lists of turns stay, `system` and `history` become the turns
        before. A row with any other key that has a value is an error, unless the key is
        one of `drop`. Chats and pairs that have no such keys keep their bytes.
        """
        dropped = (drop,) if isinstance(drop, str) else tuple(drop)
        return self.then(_steps().Chat(drop=dropped), "chat")


def _steps() -> Any:
    """The transforms, imported when one is first declared: most commands declare
    none."""
    from motools_build.data.transforms import table

    return table
