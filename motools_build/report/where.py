"""The conditions of `--where`, which select samples by their scores.

A condition such as `score<50 and judge.tone=="rude"` is parsed as a Python expression,
but never evaluated by Python. A sample without a value for a compared score (NaN or
None) does not match.
"""

from __future__ import annotations

import ast
import operator
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from motools_build.errors import SelectionError
from motools_build.text.similar import known

ONLY = "score"
"""The name that stands for the only scorer, whatever it is called."""

COMPARE: dict[type[ast.cmpop], Callable[[Any, Any], bool]] = {
    ast.Eq: operator.eq,
    ast.NotEq: operator.ne,
    ast.Lt: operator.lt,
    ast.LtE: operator.le,
    ast.Gt: operator.gt,
    ast.GtE: operator.ge,
}

FORM = (
    "write comparisons of a score with a number or a text, joined by `and`: "
    "'score<50', 'judge.tone==rude and length>=3'"
)

Scores = Mapping[str, Any]
"""The scores of one sample: scorer -> value."""


@dataclass(frozen=True)
class Comparison:
    """One comparison, such as `scorer.key < 50`."""

    scorer: str
    key: str | None
    compare: Callable[[Any, Any], bool]
    wanted: float | str

    @property
    def name(self) -> str:
        """`scorer.key`, or `scorer` without a key."""
        return f"{self.scorer}.{self.key}" if self.key else self.scorer

    def place(self, every: Scores) -> tuple[str, str | None]:
        """The scorer and the key that this comparison refers to, among those of
        `every`.

        Raises SelectionError if there is none, or if there are several."""
        scorer, key = self.scorer, self.key
        if scorer not in every:
            scorer, key = self._by_key(every)
        keys = every[scorer] if isinstance(every[scorer], Mapping) else {}
        if key is None and keys:
            raise SelectionError(
                f"--where: {scorer} has several values; name one, as in "
                f"{scorer}.{next(iter(keys))} ({known('', keys)})"
            )
        if key is not None and key not in keys:
            raise SelectionError(
                f"--where: {scorer} has no value {key!r}; " + known(key, keys)
            )
        return scorer, key

    def _by_key(self, scores: Scores) -> tuple[str, str | None]:
        """The scorer and the key for a name that is no scorer's: `score` stands for the
        only scorer, any other name for the only scorer whose values have this key."""
        if self.scorer == ONLY and len(scores) == 1:
            return next(iter(scores)), self.key
        having = [
            scorer
            for scorer, value in scores.items()
            if isinstance(value, Mapping) and self.scorer in value
        ]
        if len(having) == 1 and self.key is None:
            return having[0], self.scorer
        if having and self.key is None:
            named = ", ".join(f"{scorer}.{self.scorer}" for scorer in having)
            raise SelectionError(
                f"--where: several scorers have a value {self.scorer!r}; name one: "
                + named
            )
        raise SelectionError(
            f"--where: there is no scorer {self.scorer!r}; "
            + known(self.scorer, scores)
        )

    def comparable(self, values: list[Any]) -> list[Any]:
        """The values, with None for each whose type differs from that of the compared
        value (a text among numbers). Unchanged if all differ, so that `matches`
        raises."""
        alike = [
            value if isinstance(value, str) == isinstance(self.wanted, str) else None
            for value in values
        ]
        return alike if any(not _is_nothing(value) for value in alike) else values

    def matches(self, value: Any) -> bool:
        """Whether the value satisfies the comparison. Raises SelectionError if one side
        is a text and the other a number."""
        if isinstance(value, str) != isinstance(self.wanted, str):
            kind = "a text" if isinstance(value, str) else "a number"
            raise SelectionError(
                f"--where: {self.name} is {kind} ({value!r}), and is compared with "
                f"{self.wanted!r}; {FORM}"
            )
        return bool(self.compare(value, self.wanted))


@dataclass(frozen=True)
class Where:
    """The comparisons of a condition, all of which must match. Without any, every
    sample matches."""

    comparisons: tuple[Comparison, ...] = ()

    @classmethod
    def parse(cls, text: str) -> Where:
        """The condition that the text describes. Raises SelectionError if its form is
        wrong."""
        if not text.strip():
            return cls()
        try:
            tree = ast.parse(text.strip(), mode="eval").body
        except (SyntaxError, ValueError, RecursionError, MemoryError) as error:
            raise SelectionError(f"--where={text}: {FORM}") from error
        together = isinstance(tree, ast.BoolOp) and isinstance(tree.op, ast.And)
        parts = tree.values if together else [tree]  # type: ignore[attr-defined]
        return cls(tuple(_comparison(part, text) for part in parts))

    def matching(self, rows: Iterable[Scores]) -> tuple[list[int], int]:
        """The positions of the samples that match, and the number of samples that have
        no value to compare.

        Raises SelectionError for a comparison that fits none of the scores.
        """
        rows = list(rows)
        every = _merged(rows)
        # if all samples failed, there are no scores to look up
        places = [c.place(every) for c in self.comparisons] if every else []
        columns = [
            c.comparable([_at(scores, *place) for scores in rows])
            for c, place in zip(self.comparisons, places, strict=False)
        ]
        found, without = [], 0
        for position in range(len(rows)):
            values = [column[position] for column in columns]
            if len(values) < len(self.comparisons) or any(map(_is_nothing, values)):
                without += 1
            elif all(
                comparison.matches(value)
                for comparison, value in zip(self.comparisons, values, strict=True)
            ):
                found.append(position)
        return found, without


def _merged(rows: Iterable[Scores]) -> Scores:
    """Scorer -> one of its values, or all its keys, over the scores of all samples."""
    every: dict[str, Any] = {}
    for scores in rows:
        for scorer, value in scores.items():
            before = every.get(scorer)
            if isinstance(value, Mapping):
                every[scorer] = {
                    **(before if isinstance(before, Mapping) else {}),
                    **value,
                }
            elif before is None:
                every[scorer] = value
    return every


def _at(scores: Scores, scorer: str, key: str | None) -> Any:
    """A sample's value at a scorer and key; None if there is none."""
    value = scores.get(scorer)
    if key is None:
        return value
    return value.get(key) if isinstance(value, Mapping) else None


def _comparison(node: ast.expr, text: str) -> Comparison:
    match node:
        case ast.Compare(left=left, ops=[op], comparators=[right]):
            compare = COMPARE.get(type(op))
            named, wanted = _named(left), _wanted(right)
            if compare and named and wanted is not None:
                return Comparison(*named, compare, wanted)
    raise SelectionError(f"--where={text}: {FORM}")


def _named(node: ast.expr) -> tuple[str, str | None] | None:
    """Scorer and key of the left side, whose scorer may be in quotes if it is no Python
    name. None if the form is wrong."""
    match node:
        case ast.Name(id=scorer):
            return scorer, None
        case ast.Constant(value=str(scorer)):
            return scorer, None
        case ast.Attribute(value=inner, attr=key):
            named = _named(inner)
            return (named[0], key) if named and named[1] is None else None
    return None


def _wanted(node: ast.expr) -> float | str | None:
    match node:
        case ast.Name(id=text):
            return text
        case ast.Constant(value=bool(value)):
            return float(value)
        case ast.Constant(value=int(value) | float(value)):
            return value
        case ast.Constant(value=str(text)):
            return text
        case ast.UnaryOp(op=ast.USub(), operand=ast.Constant(value=int(v) | float(v))):
            return -v
    return None


def _is_nothing(value: Any) -> bool:
    return value is None or value != value or isinstance(value, list)
