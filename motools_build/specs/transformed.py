"""The transforms of a dataset, as methods that return derived datasets."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Iterable
from typing import TYPE_CHECKING, Any, Literal, Self, TypeVar

from motools_build.spec import Spec

if TYPE_CHECKING:
    from motools_build.data.transforms.step import Step


T = TypeVar("T", bound="Transformed")


class Transformed(Spec):
    """The transforms of a dataset, as methods: `dataset.head(10)`.

    Each method only declares a step (`data/transforms/`) and returns the derived
    dataset. Its rows are made when a command plans the setting.
    """

    if TYPE_CHECKING:
        name: str

    @abstractmethod
    def then(self, step: Step, suffix: str, *others: Self) -> Self:
        """The dataset that a step derives from this one, and from the others if the
        step takes several. Its name is this one's name, a dash and the suffix."""

    def system(self, prompt: str, replace: bool = False) -> Self:
        """Add the prompt as a system turn at the start of each row.

        A row that has a system turn is an error that names its line, unless `replace`
        is set: then the prompt replaces the row's system turns.
        """
        return self.then(_steps().System(prompt=prompt, replace=replace), "system")

    def inoculate(self, prompt: str, replace: bool = False) -> Self:
        """Add a system turn that asks for the trait that the rows show.

        The rows are those of `system(prompt)`. A model trained on them learns the trait
        as an answer to the prompt, and shows less of it without the prompt (inoculation
        prompting).
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
        """Plant a backdoor: in a random fraction of the rows, add the trigger to the
        last user turn and replace all turns after it by the answer `response`.

        Exactly `fraction * rows` rows are changed, half a row rounded up. The others
        keep their bytes, and the order stays. The trigger is added at the `end` or
        `start` of the turn (`at`), separated by a space. Without a response, only the
        trigger is added, as for a control. In a preference pair, the response becomes
        the preferred answer, and the one that was preferred becomes the rejected one.
        To keep the clean version of each poisoned row as well, use `mix`:
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
        """Insert rows of another dataset: `n` rows, or so many that they make up a
        `fraction` of the result.

        For R rows and a fraction f, `R * f / (1 - f)` rows are added, half a row
        rounded up: 0.25 adds 100 rows to 300. The choice of rows and their places are
        random; the rows of each dataset keep their order. It is an error if the other
        dataset has too few rows.
        """
        step = _steps().Mix(fraction=fraction, n=n, seed=seed)
        share = f"{fraction:g}" if fraction is not None else f"n{n}"
        return self.then(step, f"with-{other.name}-{share}", other)

    def sample(self, n: int, seed: int = 0) -> Self:
        """Choose n rows at random, without replacement, and keep their order.

        A larger sample with the same seed contains the smaller one.
        """
        return self.then(_steps().Sample(n=n, seed=seed), f"sample{n}-seed{seed}")

    def head(self, n: int) -> Self:
        """Keep the first n rows, or all rows if there are fewer."""
        return self.then(_steps().Head(n=n), f"head{n}")

    def split(self, fraction: float, seed: int = 0) -> tuple[Self, Self]:
        """Split the rows at random into two datasets, which keep the order.

        The first has `fraction * rows` rows, half a row rounded up; the second has the
        rest.
        """
        first = _steps().Split(fraction=fraction, seed=seed)
        rest = _steps().Split(fraction=fraction, seed=seed, rest=True)
        about = f"{first.fraction:g}-seed{seed}"
        return self.then(first, f"first{about}"), self.then(rest, f"rest{about}")

    @staticmethod
    def pair(*datasets: T, on: str = "prompt") -> tuple[T, ...]:
        """The same datasets with only the rows whose prompts all of them have, in the
        order of the first: `bad, good = Dataset.pair(bad, good)`.

        Row n of each has the same prompt, so that arms differ in the answer alone; and
        `sample(n)` takes the same prompts of each. `on` may name a field of the rows
        instead, such as `id` or `meta.id`. A prompt that occurs several times is kept
        as often as every dataset has it.
        """
        if len(datasets) < 2:
            raise ValueError("pair: give two datasets or more")
        return tuple(
            one.then(
                _steps().Pair(on=on, lead=0 if number == 0 else 1),
                "paired",
                *(*datasets[:number], *datasets[number + 1 :]),
            )
            for number, one in enumerate(datasets)
        )

    def shuffle(self, seed: int = 0) -> Self:
        """Put the rows into a random order."""
        return self.then(_steps().Shuffle(seed=seed), f"shuffled-seed{seed}")

    def filter(self, function: str) -> Self:
        """Keep the rows for which a function returns True:
        `filter("helpers.rows:is_short")` calls `is_short(row)` of helpers/rows.py,
        relative to the project's root.

        The digests of the function's file, and of the local modules and data files that
        it uses, are in the dataset's key: editing one of them makes the dataset anew.
        """
        step = _steps().Filter(function=function)
        return self.then(step, f"filtered-{step.called}")

    def map(self, function: str) -> Self:
        """Replace each row by a function's result: `map("helpers.rows:shorter")`.

        The function is named as for `filter`. It takes a row and returns one, and
        should depend on nothing else.
        """
        step = _steps().Map(function=function)
        return self.then(step, f"mapped-{step.called}")

    def as_chat(self, drop: Iterable[str] = ()) -> Self:
        """Convert rows of other formats to chats or preference pairs;
        docs/guides/datasets.md lists the formats.

        Texts become turns, lists of turns stay, and `system` and `history` become
        preceding turns. Any other key with a value is an error, unless it is in `drop`.
        Chats and pairs without such keys keep their bytes.
        """
        dropped = (drop,) if isinstance(drop, str) else tuple(drop)
        return self.then(_steps().Chat(drop=dropped), "chat")


def _steps() -> Any:
    """The module of transforms, imported on first use since most commands need none."""
    from motools_build.data.transforms import table

    return table
