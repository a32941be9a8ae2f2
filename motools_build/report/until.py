"""What `until=half:0.15 max_seeds=10` asks for, from the words of the command line."""

from __future__ import annotations

import math
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import chain, count, islice

from motools_build.errors import VariableError, cut
from motools_build.text.similar import known

WRITE = "write until=half:0.15 max_seeds=10"

BY_RESULT = frozenset(
    {"p", "alpha", "difference", "effect", "holm", "power"}
    | {"sig", "significance", "significant", "t", "z"}
)
"""Words for stopping at a result, which is refused with its reason."""

MOST_HALF = 0.5
"""The largest half-width that can be asked for: half of a score's range."""

MOST_SEEDS = 1000
"""The largest `max_seeds`."""


@dataclass(frozen=True)
class Until:
    """What `until=` and `max_seeds=` ask for."""

    half: float
    """The half-width that an interval may have, as a share of its score's range."""
    max_seeds: int
    """The most seeds of a group, those of the setting included."""
    evals: tuple[str, ...] = ()
    """The evals whose intervals count; empty for all."""

    @classmethod
    def parse(cls, variables: Mapping[str, str]) -> Until | None:
        """The values of the two variables; None if neither is given. Raises
        VariableError, with the remedy, for values that cannot be meant."""
        word, most = variables.get("until"), variables.get("max_seeds")
        if word is None:
            if most is None:
                return None
            raise VariableError(f"max_seeds={cut(most)} goes with until=: {WRITE}")
        half, evals = _half(word)
        if most is None:
            raise VariableError(
                f"until={cut(word)}: say how many seeds a group of models may have at "
                f"most: until={cut(word)} max_seeds=10"
            )
        is_number = re.fullmatch(r"[0-9]{1,6}", most)
        if not is_number or not 2 <= int(most) <= MOST_SEEDS:
            raise VariableError(
                f"max_seeds={cut(most)}: write a whole number from 2 to {MOST_SEEDS} "
                "(the interval of a single seed says nothing of the next one)"
            )
        if variables.get("smoke") == "yes":
            raise VariableError(
                "smoke=yes makes one seed, and until= adds seeds until intervals are "
                "narrow; leave one of the two out"
            )
        if variables.get("wait") == "no":
            raise VariableError(
                "wait=no returns before models are made, and until= looks at their "
                "results before it adds a seed; leave one of the two out"
            )
        return cls(half, int(most), evals)

    def __str__(self) -> str:
        evals = f":{','.join(self.evals)}" if self.evals else ""
        return f"until=half:{self.half:g}{evals} max_seeds={self.max_seeds}"

    def seeds_of(self, name: str, own: Sequence[int]) -> list[int]:
        """The seeds of a setting called `name` and those that may follow, in this
        order: the integers after the largest; after 2**32 - 1, the smallest unused.
        Raises VariableError if the setting has more seeds than `max_seeds`."""
        if len(own) > self.max_seeds:
            raise VariableError(
                f"max_seeds={self.max_seeds}: setting {name} has {len(own)} seeds "
                f"already; write max_seeds={len(own)} or more"
            )
        used = set(own)
        after = chain(range(max(own) + 1, 2**32), count())
        fresh = (seed for seed in after if seed not in used)
        return [*own, *islice(fresh, self.max_seeds - len(own))]

    def check_evals(self, name: str, there: Sequence[str]) -> None:
        """Raises VariableError for an eval that the setting called `name` lacks."""
        for one in self.evals:
            if one not in there:
                raise VariableError(
                    f"until=: setting {name} has no eval {cut(one)!r}; "
                    + known(one, there)
                )


def _half(word: str) -> tuple[float, tuple[str, ...]]:
    """The half-width and the evals of `half:0.15` or `half:0.15:EVAL,EVAL`. Raises
    VariableError."""
    shown = cut(word)
    what = re.match(r"\s*[a-z]*", word.lower())
    if what and what[0].strip() in BY_RESULT:
        raise VariableError(
            f"until={shown}: seeds are not added until a result is there, because that "
            "finds differences where there are none far more often than p says "
            f"(docs/statistics.md); {WRITE}, which looks at widths alone"
        )
    kind, _, rest = word.partition(":")
    if kind != "half":
        raise VariableError(f"until={shown}: {WRITE}")
    amount, has_evals, names = rest.partition(":")
    is_number = re.fullmatch(r"\s*[0-9]*\.?[0-9]+\s*", amount)
    half = float(amount) if is_number else math.nan
    if not 0 < half <= MOST_HALF:
        raise VariableError(
            f"until={shown}: half is a number above 0 and at most {MOST_HALF:g}: half "
            f"of the interval's width, as a share of the score's range; {WRITE}"
        )
    evals = tuple(one.strip() for one in names.split(",")) if has_evals else ()
    if has_evals and not all(evals):
        raise VariableError(
            f"until={shown}: the name of an eval is empty; write "
            f"until=half:{half:g}:EVAL,EVAL, or no names for all evals"
        )
    return half, evals
